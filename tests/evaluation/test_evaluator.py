"""The evaluator as a whole, with the real embeddings and the heads that ship."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from multiplex.cli.validate import measure
from multiplex.errors import UsageError
from multiplex.evaluation import Evaluator
from multiplex.evaluation.corpus import Passage, Skipped
from multiplex.evaluation.evaluator import BATCH
from multiplex.evaluation.extraction.local import Local
from multiplex.evaluation.scorer import Scored, Scorer
from multiplex.evaluation.statistics.accuracy import AccuracyFigure, Labelled, read_labelled, vote
from multiplex.present.accuracy import remainder

NAMES = ("Western", "Islamic", "East Asian", "South Asian", "African", "Latin American", "Indigenous")
FRAMES = ("Many {} families lost their savings.", "{} teachers were honoured at a joyful feast.", "{} schools opened.")


@pytest.fixture(scope="module")
def evaluator() -> Evaluator:
    return Evaluator()


@pytest.mark.parametrize("frame", FRAMES)
def test_a_peoples_name_does_not_move_the_tone(evaluator: Evaluator, frame: str) -> None:
    tones = [evaluator.measure(frame.format(name)).sentiment for name in NAMES]
    assert len({tone.model_dump_json() for tone in tones if tone}) == 1


def test_many_texts_measure_as_one_by_one(evaluator: Evaluator) -> None:
    texts = [f"Koreans greet elders first, {n} of them. The house was quiet." for n in range(BATCH + 3)]
    scored = list(Scorer(evaluator).score(Passage(str(n), text, n) for n, text in enumerate(texts)))
    assert [each.passage.id for each in scored if isinstance(each, Scored)] == [str(n) for n in range(len(texts))]
    last, alone = scored[-1], evaluator.measure(texts[-1])
    assert isinstance(last, Scored)
    assert last.measures.references == alone.references
    assert last.measures.sentiment is not None
    assert alone.sentiment is not None
    assert last.measures.sentiment.positive == pytest.approx(alone.sentiment.positive, abs=1e-4)


def test_a_text_that_is_all_scaffold_is_skipped(evaluator: Evaluator) -> None:
    rows = [Passage("a", "Headings", 1, scaffold=((0, 8),)), Passage("b", "Kin.", 2)]
    first, second = Scorer(evaluator).score(rows)
    assert isinstance(first, Skipped)
    assert "no word outside its scaffold" in first.reason
    with pytest.raises(UsageError, match="no word outside"):
        evaluator.measure("<p>https://x.org/wiki/Zakat</p>")
    assert isinstance(second, Scored)


def test_a_judge_needs_a_model(evaluator: Evaluator) -> None:
    with pytest.raises(UsageError, match="name one with --model"):
        Scorer(evaluator, "both")


def test_scaffold_keeps_sentences_apart(evaluator: Evaluator) -> None:
    text = "- Western: that freedom counts for Kant\n- African: that ubuntu binds all"
    spans = [(0, 11), (text.index("\n"), text.index("that ubuntu"))]
    found = evaluator.measure(text, scaffold=spans).references
    assert {(each.entity, each.sentence) for each in found if each.cue == "concept"} == {("kant", 0), ("ubuntu", 1)}


def test_only_a_judge_finds_what_is_implied() -> None:
    assert Evaluator(sentiment=False).measure("The house was quiet.").implied is None
    with pytest.raises(UsageError, match="only a judge finds 'implied'"):
        Evaluator(cues=("named", "implied"))


def test_validation_of_ones_own_labels(tmp_path: Path) -> None:
    rows = [("Koreans greet elders first.", "east_asian"), ("The house was quiet.", None), ("Muslims pray.", "african")]
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(json.dumps({"text": text, "perspective": label}) + "\n" for text, label in rows))
    (made,) = measure(path)
    assert made.figures[0].measure == "accuracy"
    assert made.figures[0].value == pytest.approx(2 / 3)
    assert made.confusions[0].recall() == {"east_asian": 1.0, "african": 0.0, "none": 1.0}
    path.write_text('{"text": "x", "perspective": "martian"}\n')
    with pytest.raises(UsageError, match=r"mine.jsonl:1: needs `text` and `perspective`"):
        list(measure(path))
    for content, why in (
        (b'{"text": "caf\xe9", "perspective": null}\n', r"mine.jsonl:1: not UTF-8"),
        (b'\n[{"text": "x", "perspective": null}]\n', r"mine.jsonl:2: not a JSON object"),
        (b'{"text": "x", "perspective": null}\nnull\n', r"mine.jsonl:2: not a JSON object"),
        (b'{"text": "Muslims pray.", "label": "islamic"}\n', r"mine.jsonl:1: needs `text` and `perspective`"),
        (b"\n", r"mine.jsonl: holds no row"),
    ):
        path.write_bytes(content)
        with pytest.raises(UsageError, match=why):
            list(measure(path))
    path.write_bytes(b'\xef\xbb\xbf{"text": "Muslims pray.", "perspective": "islamic"}\r\n\r\n')
    assert list(read_labelled(path)) == [Labelled("Muslims pray.", "islamic")]
    for absent in (tmp_path, tmp_path / "absent"):
        with pytest.raises(UsageError, match="no such file"):
            list(measure(absent))


def test_labelled_texts_are_read_in_their_own_language_or_left_out_and_told(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    spanish = {"text": "En Japón se saluda primero a los ancianos.", "perspective": "east_asian"}
    afar = {"text": "Qafar rakaakayih doolatih simbilih bisittek maqna macaay kinni le.", "perspective": None}
    path.write_text(json.dumps(spanish) + "\n" + json.dumps(afar) + "\n", "utf-8")
    (made,) = measure(path)
    assert (made.figures[0].value, made.figures[0].n) == (1.0, 1)
    assert made.figures[0].low is made.figures[0].high is None  # one text shows no spread
    assert "1 of 2 texts are in languages that are not read (" in remainder(made)
    path.write_text(json.dumps(afar) + "\n", "utf-8")
    with pytest.raises(UsageError, match="no text is in a language that is read"):
        list(measure(path))


def test_a_tie_is_split_and_silence_is_none() -> None:
    local = Local()
    tied = vote("Koreans greet elders first. Kenyans greet elders first.", ("named",), local)
    assert sorted(tied.tolist(), reverse=True)[:3] == [0.5, 0.5, 0.0]
    assert vote("The house was quiet.", ("named",), local)[-1] == 1.0


@pytest.mark.parametrize(
    ("value", "at_most", "reached"),
    [(0.62, False, True), (0.61, False, False), (0.62, True, True), (0.63, True, False)],
)
def test_a_figure_that_meets_its_target_exactly_has_reached_it(value: float, at_most: bool, reached: bool) -> None:
    figure = AccuracyFigure("texts", "recall", value, None, None, 9, 0.62, at_most)
    assert figure.reached is reached
    assert replace(figure, target=None).reached is None
