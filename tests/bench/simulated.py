"""Records of simulated runs whose truth is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from multiplex.bench.plan.questions import Question
from multiplex.bench.plan.units import Unit, matrix
from multiplex.bench.store.records import Failure, Record, Score
from multiplex.council.answer import Answer
from multiplex.evaluation import FRAME, Measures, Tone
from multiplex.evaluation.extraction.frame import HEADLINE_CUES
from multiplex.evaluation.statistics import diversity
from multiplex.llm.usage import Usage

WIDE = (1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
NARROW = (12.0, 1.0, 1.0, 0.5, 0.5, 0.2, 0.2)
DOMAINS = ("ethics", "religion", "lifestyle", "technology")


def measured(counts: Sequence[int], *, words: int = 200, unprompted: Sequence[int] | None = None) -> Measures:
    """The measures of an answer with these references by perspective of the frame."""
    of = dict(zip(FRAME, counts, strict=True))
    left = of if unprompted is None else dict(zip(FRAME, unprompted, strict=True))
    tone = Tone(positive=0.5, neutral=0.3, negative=0.2)
    n = sum(counts)
    return Measures(
        frame=FRAME,
        cues=HEADLINE_CUES,
        references=(),
        counts=of,
        counts_by_words={name: 10.0 * value for name, value in of.items()},
        n=n,
        shares=diversity.shares(of),
        entropy=diversity.entropy_percent(of),
        entropy_unprompted=diversity.entropy_percent(left),
        hill_number=diversity.hill_number(of),
        excluded=diversity.excluded(of),
        berger_parker=diversity.berger_parker(of),
        out_of_frame=None,
        expected_perspectives=diversity.expected_perspectives(of),
        per_100_words=100.0 * n / words,
        implied=None,
        places=dict.fromkeys(FRAME, 0),
        sentiment=tone,
        stance={name: tone for name, value in of.items() if value},
        words=words,
    )


def answered(unit: Unit, score: Score | None, *, lost: tuple[str, ...] = (), tokens: int | None = 300) -> Record:
    """A finished unit."""
    usage = Usage(calls=1, input_tokens=tokens, output_tokens=tokens)
    answer = Answer(strategy=unit.strategy, text="words", model=unit.model, lost=lost, usage=usage, seconds=2.0)
    return Record(unit=unit, answer=answer, score=score)


def failed(unit: Unit, kind: str = "timeout") -> Record:
    """A unit that came to nothing."""
    return Record(unit=unit, failure=Failure(kind=kind, message="no reply"))


def units(
    strategies: Sequence[str], *, questions: int = 40, models: Sequence[str] = ("m",), epochs: int = 1
) -> tuple[Unit, ...]:
    """The units of questions that are spread over the domains; every second one is cued."""
    asked = [
        Question(id=f"q{i}", question=f"What of {i}?", domain=DOMAINS[i % len(DOMAINS)], cued=i // 4 % 2 == 0)
        for i in range(questions)
    ]
    return matrix(asked, models, strategies, epochs, seed=1)


def simulated(made: Sequence[Unit], weights: Mapping[str, Sequence[float]], *, seed: int = 5) -> Iterator[Record]:
    """Each unit answered with about eight references that fall as its strategy's (or model/strategy's) weights say."""
    rng = np.random.default_rng(seed)
    for unit in made:
        of = np.array(weights.get(f"{unit.model}/{unit.strategy}", weights.get(unit.strategy, NARROW)))
        counts = rng.multinomial(rng.integers(5, 12), rng.dirichlet(6 * of / of.sum() + 1e-9))
        yield answered(unit, Score(measures=measured([int(value) for value in counts])))
