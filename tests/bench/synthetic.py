"""A small run without a model: answers written here, measured with the real gazetteers, in a real store."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from multiplex.bench.analysis.analysis import analysed
from multiplex.bench.analysis.model import Analysis
from multiplex.bench.execute.scoring import Scoring
from multiplex.bench.plan.questions import Question
from multiplex.bench.plan.units import Unit, matrix
from multiplex.bench.store.records import Failure, Record, Score
from multiplex.bench.store.store import Store
from multiplex.council.answer import Answer, Voice
from multiplex.evaluation import FRAME, Measures, find, split
from multiplex.evaluation.extraction.frame import HEADLINE_CUES
from multiplex.evaluation.extraction.gazetteer import shipped_gazetteer
from multiplex.evaluation.measures import measures
from multiplex.llm.usage import Usage

MODELS = ("small", "openai:<b>large|x</b>")
STRATEGIES = ("multiplex", "uniplex", "checklist", "blank-council")
QUESTIONS = tuple(
    Question(id=f"{domain.lower()}-{number}", domain=domain, cued=number == 1, question=f"What of {domain} {number}?")
    for domain in ("Religious", "History")
    for number in (1, 2, 3)
)
WIDE = "Kantian ethics asks for a rule. Zakat is a duty. Ubuntu binds people. Māori guard the land. Buen vivir matters."
NARROW = "Kantian ethics asks for a rule. It depends on the case."
HOSTILE = "</div></article><script>alert('owned')</script>\x00 & <img src=x onerror=alert(1)> Ubuntu."
RTL = "يقول ابن خلدون إن العصبية أساس العمران."
TEXTS = {"multiplex": WIDE, "uniplex": NARROW, "checklist": WIDE, "blank-council": NARROW}


@cache
def measured(text: str) -> Measures:
    """The measures of a text, with the same tone for every sentence."""
    import numpy as np

    sentences = split(text)
    tones = np.tile([0.5, 0.3, 0.2], (len(sentences), 1))
    return measures(sentences, find(text, shipped_gazetteer()), FRAME, HEADLINE_CUES, text=text, tones=tones)


def units(questions: Iterable[Question] = QUESTIONS, strategies: Iterable[str] = STRATEGIES) -> tuple[Unit, ...]:
    return matrix(tuple(questions), MODELS, tuple(strategies), 1, 7)


def answer(unit: Unit, text: str = "", lost: bool = False) -> Answer:
    voices = ()
    if unit.strategy == "multiplex":
        about = {"persona": "akan", "perspective": "african", "title": "African", "model": unit.model}
        other = {"persona": "kant", "perspective": "western", "title": "Western", "model": unit.model}
        error = {"error": f"timeout: no reply {HOSTILE}"} if lost else {"text": f"Ubuntu binds. {HOSTILE}"}
        voices = (Voice(**other, text=NARROW), Voice(**about, **error))
    return Answer(
        strategy=unit.strategy,
        text=text or TEXTS[unit.strategy],
        model=unit.model,
        voices=voices,
        lost=("african",) if lost else (),
        usage=Usage(calls=1, input_tokens=10, output_tokens=20),
        seconds=1.5,
        notes=("=cut off",) if lost else (),
    )


def scored(unit: Unit, made: Answer) -> Record:
    voices = {"western": dict.fromkeys(FRAME, 0) | {"western": 1}} if made.voices else {}
    return Record(unit=unit, answer=made, score=Score(measures=measured(made.text), voices=voices))


def records(whole: tuple[Unit, ...] | None = None) -> Iterator[Record]:
    """One of every kind of bad luck among answers of the plain kind."""
    for place, unit in enumerate(whole or units()):
        if place == 3:
            yield Record(unit=unit, failure=Failure(kind="timeout", message=f"no reply {HOSTILE}"))
        elif place == 7:
            yield Record(unit=unit)
        else:
            text = {1: HOSTILE, 2: RTL, 5: "=1+1 " + "Donaudampfschiff" * 40}.get(place, "")
            yield scored(unit, answer(unit, text, lost=place == 0))


def analysis(of: Iterable[Record]) -> Analysis:
    return analysed(of, Scoring().key, resamples=50, permutations=99)


def stored(folder: Path, of: Iterable[Record]) -> None:
    """The records as a run on disk."""
    scoring = Scoring()

    async def fill(store: Store) -> None:
        scores = {}
        for record in of:
            store.add([record.unit])
            if record.failure:
                await store.fail(record.unit.id, record.failure)
            if record.answer:
                await store.finish(record.unit.id, record.answer)
            if record.score:
                scores[record.unit.id] = record.score
        store.write_scoring(scoring.key, scoring.model_dump_json())
        store.keep_scores(scoring.key, scores)

    with Store.open(folder, create=True) as store:
        asyncio.run(fill(store))
