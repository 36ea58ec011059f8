"""Units: one (question, language, model, strategy, epoch) each, the matrix they make, and which wait for another."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict

from multiplex.bench.plan.questions import Question
from multiplex.content import sha256
from multiplex.council.closed import ClosedQuestion
from multiplex.council.seeds import call_seed
from multiplex.errors import UsageError

BenchStrategy = Literal[
    "multiplex", "uniplex", "contextual", "checklist", "solo-council", "uniplex-long", "echo-council", "blank-council"
]
STRATEGIES: tuple[BenchStrategy, ...] = get_args(BenchStrategy)
CONTROLS: tuple[BenchStrategy, ...] = ("checklist", "solo-council", "uniplex-long", "echo-council", "blank-council")
LENGTH_MATCHED: frozenset[str] = frozenset({"checklist", "uniplex-long"})
"""Strategies that are told how long the multiplex answer of the same question became."""


class Unit(BaseModel):
    """One (question, model, strategy, epoch) of a run; it holds all that names the work, and nothing of a process.

    Attributes:
        id: 16 hex digits, the same in every run for the same question, language, model, strategy and epoch.
        domain: empty where the question set has none.
        cued: whether the question names a culture, tradition, religion or colonial history; None where nobody said.
        language: of the question, as in `Question`; its `question_id` is that of the same question in the others.
        epoch: from 1.
        seed: the same for every language, model and strategy of one question and epoch.
        strategy: of `BenchStrategy`, or, where `closed` is set, who is asked.
        needs: the id of the multiplex unit whose length this one is matched to.
        hears: the ids of the units of the round before whose voices this one is told.
        closed: the closed question of a survey; None where an answer in prose is wanted.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    question_id: str
    question: str
    domain: str = ""
    cued: bool | None = None
    language: str = ""
    model: str
    strategy: str
    epoch: int = 1
    seed: int
    needs: str | None = None
    hears: tuple[str, ...] = ()
    closed: ClosedQuestion | None = None

    @property
    def awaits(self) -> tuple[str, ...]:
        """The ids of the units that must be done before this one."""
        return self.hears if self.needs is None else (self.needs, *self.hears)

    @property
    def together(self) -> str:
        """The same for units that fall to one shard: those that rest on each other or are measured together.

        Of a benchmark, a question in every language; of a survey, a form of a question for every respondent and model.
        """
        return f"{self.question_id} {self.epoch}" if self.closed else f"{self.question_id} {self.model} {self.epoch}"


def unit_id(question: Question, model: str, strategy: str, epoch: int) -> str:
    """The stable id of a unit; that of a question in the set's own words holds no language, as in version 0.2.0."""
    named = [question.id, question.question, model, strategy, epoch]
    return sha256(json.dumps([*named, question.language] if question.language else named))[:16]


def matrix(
    questions: Sequence[Question], models: Sequence[str], strategies: Sequence[str], epochs: int, seed: int
) -> tuple[Unit, ...]:
    """Every unit of a run, question by question, each multiplex unit before those that are matched to its length.

    Raises:
        UsageError: a strategy or the number of epochs is wrong, or a length-matched control lacks its multiplex unit.
    """
    chosen = checked(strategies)
    if epochs < 1:
        raise UsageError(f"--epochs {epochs}: at least 1")
    return tuple(
        Unit(
            id=unit_id(question, model, strategy, epoch),
            question_id=question.id,
            question=question.question,
            domain=question.domain,
            cued=question.cued,
            language=question.language,
            model=model,
            strategy=strategy,
            epoch=epoch,
            seed=call_seed(seed, question.id, epoch),
            needs=unit_id(question, model, "multiplex", epoch) if strategy in LENGTH_MATCHED else None,
        )
        for epoch in range(1, epochs + 1)
        for question in questions
        for model in models
        for strategy in chosen
    )


def checked(strategies: Sequence[str]) -> tuple[BenchStrategy, ...]:
    """The strategies without repetition, in the order in which they can run.

    Raises:
        UsageError: one is unknown, there is none, or a length-matched control stands without `multiplex`.
    """
    for strategy in strategies:
        if strategy not in STRATEGIES:
            raise UsageError(f"--strategies: no strategy {strategy!r}; there are {', '.join(STRATEGIES)}")
    chosen = tuple(strategy for strategy in STRATEGIES if strategy in strategies)
    if not chosen:
        raise UsageError(f"--strategies names none; there are {', '.join(STRATEGIES)}")
    matched = [strategy for strategy in chosen if strategy in LENGTH_MATCHED]
    if matched and "multiplex" not in chosen:
        raise UsageError(
            f"--strategies: {matched[0]!r} is as long as the multiplex answer of its question; add 'multiplex'"
        )
    return chosen
