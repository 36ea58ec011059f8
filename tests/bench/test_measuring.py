"""Stored answers are measured as `multiplex score` would, once each, and what cannot be measured says so."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from multiplex.bench.execute.scoring import Scoring, outdated, score, scores_of
from multiplex.bench.plan.units import Unit
from multiplex.bench.store.records import Failure, Score
from multiplex.bench.store.store import Store
from multiplex.council.answer import Answer, Voice
from multiplex.errors import UsageError
from multiplex.evaluation import FRAME, Evaluator
from tests.bench.simulated import units

PLAIN = "In Japan, elders are greeted first. Ubuntu says that a person is a person through others."
SAID = {
    "east_asian": "In Confucian thought, elders are honoured by every child. Koreans greet elders before anyone else.",
    "african": "Ubuntu teaches that a person is a person through other persons. Zulu elders settle quarrels by talk.",
    "islamic": "The Qur'an commands kindness to parents in their old age. Zakat sustains the poor of the town.",
}


@pytest.fixture(scope="module")
def evaluator() -> Evaluator:
    return Scoring().evaluator()


def unit_of(strategy: str) -> Unit:
    (unit, *_) = units(("multiplex", strategy), questions=1)[strategy != "multiplex" :]
    return unit


def answer_of(strategy: str, text: str, **fields: object) -> Answer:
    return Answer.model_validate({"strategy": strategy, "text": text, "model": "m"} | fields)


def council(strategy: str, names: dict[str, str]) -> Answer:
    """An answer of a heading by our code and the voices' own sentences; a lost voice has an error."""
    voices = [Voice(persona=name, perspective=name, title=name, model="m", text=text) for name, text in names.items()]
    lost = Voice(persona="western", perspective="western", title="Western", model="m", error="timeout")
    heading = "Western, Islamic and African views"
    text = "\n\n".join([heading, *names.values()])
    return answer_of(strategy, text, voices=(*voices, lost), scaffold=((0, len(heading)),), lost=("western",))


def test_an_answer_is_measured_as_the_evaluator_does(evaluator: Evaluator) -> None:
    unit, answer = unit_of("uniplex"), answer_of("uniplex", PLAIN, prompt="Say something of ubuntu.")
    (found,) = scores_of([(unit, answer)], evaluator)
    alone = evaluator.measure(PLAIN, question=unit.question, prompt=answer.prompt)
    assert found.measures is not None
    assert alone.sentiment is not None
    tones = {"sentiment", "stance", "references"}  # the last digits of their scores depend on how busy the processor is
    assert found.measures.model_dump(exclude=tones) == alone.model_dump(exclude=tones)
    assert found.measures.sentiment is not None
    assert found.measures.sentiment.model_dump() == pytest.approx(alone.sentiment.model_dump(), abs=1e-4)
    assert (found.measures.counts["east_asian"], found.measures.counts["african"]) == (1, 1)
    assert found.measures.entropy == pytest.approx(35.62, abs=0.01)
    assert found.measures.entropy_unprompted == 0.0
    assert (found.retention, found.voices, found.note) == (None, {}, None)


def test_a_council_is_held_against_its_voices_and_its_scaffold_is_not_scored(evaluator: Evaluator) -> None:
    (found,) = scores_of([(unit_of("multiplex"), council("multiplex", SAID))], evaluator)
    assert found.measures is not None
    assert found.measures.counts["western"] == 0
    assert set(found.voices) == set(SAID)
    assert found.voices["african"] == dict.fromkeys(FRAME, 0) | {"african": 2}
    assert found.voices["islamic"]["islamic"] == 2
    assert found.retention is not None
    assert found.retention.coverage.mean == pytest.approx(1.0)
    assert found.retention.voice_attribution is not None
    assert found.retention.voice_attribution.n == 3


def test_voices_of_no_perspective_are_compared_but_not_attributed(evaluator: Evaluator) -> None:
    blank = {f"voice_{n}": text for n, text in enumerate(SAID.values(), 1)}
    (found,) = scores_of([(unit_of("blank-council"), council("blank-council", blank))], evaluator)
    assert found.retention is not None
    assert found.retention.voice_attribution is None
    assert found.retention.homogeneity is not None
    assert found.voices["voice_2"]["african"] == 2


def test_an_answer_without_words_says_so_and_keeps_its_place(evaluator: Evaluator) -> None:
    plain = unit_of("uniplex")
    batch = [(plain, answer_of("uniplex", "...")), (plain, answer_of("uniplex", PLAIN))]
    silent, spoken = scores_of(batch, evaluator)
    assert silent.measures is None
    assert silent.note is not None
    assert "holds no word" in silent.note
    assert spoken.measures is not None


def test_every_answer_is_scored_once_and_a_second_scoring_stands_beside(tmp_path: Path, evaluator: Evaluator) -> None:
    asked = units(("uniplex",), questions=4)

    async def finished(store: Store) -> None:
        await store.finish(asked[0].id, answer_of("uniplex", PLAIN))
        await store.finish(asked[1].id, answer_of("uniplex", "..."))
        await store.fail(asked[2].id, Failure(kind="timeout", message="no reply"))

    heard: list[int] = []
    with Store.open(tmp_path, create=True) as store:
        store.add(asked)
        asyncio.run(finished(store))
        assert score(store, Scoring(), evaluator, heard.append) == 2
        assert score(store, Scoring(), evaluator, heard.append) == 0
        asyncio.run(store.finish(asked[3].id, answer_of("uniplex", PLAIN)))
        assert score(store, Scoring(), evaluator, heard.append) == 1
        assert heard == [1, 2, 1]  # question by question
        narrow = Scoring(frame=("western", "african"))
        assert score(store, narrow) == 3
        assert tuple(store.scorings()) == (Scoring().key, narrow.key)
        wide = {record.unit.question_id: record.score for record in store.records(Scoring().key)}
        thin = {record.unit.question_id: record.score for record in store.records()}
    assert isinstance(wide["q0"], Score)
    assert wide["q0"].measures is not None
    assert wide["q0"].measures.n == 2
    assert isinstance(thin["q0"], Score)
    assert thin["q0"].measures is not None
    assert thin["q0"].measures.n == 1
    assert (wide["q2"], thin["q2"]) == (None, None)


def test_scoring_has_a_key_of_all_that_counts() -> None:
    """The same content gives the same key; another frame, other cues or another tone another one."""
    one = Scoring()
    keys = {
        one.key,
        Scoring(frame=("western", "islamic")).key,
        Scoring(cues=("named",)).key,
        Scoring(sentiment_model="x").key,
    }
    assert len(keys) == 4
    assert Scoring.model_validate_json(one.model_dump_json()).key == one.key
    with pytest.raises(UsageError, match="unknown perspective"):
        Scoring(frame=("western", "nordic"))


def test_a_scoring_of_an_older_frame_or_older_lists_is_known_by_its_description() -> None:
    now = Scoring()
    frame = now.frame.model_copy(update={"shared": ()})
    assert outdated(now.model_dump_json()) is None
    assert outdated(now.model_copy(update={"frame": frame}).model_dump_json()) == "under an older frame 'civilisations'"
    assert outdated(now.model_copy(update={"content": "0"}).model_dump_json()) == "with older word lists or rules"
    older = now.model_dump(mode="json") | {"frame": list(now.frame.names)}
    assert outdated(json.dumps(older)) == "without facets, by an older version"
