"""A survey of people: its questions with their options, and how each country answered."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator

from multiplex.content import sha256
from multiplex.council.closed import LETTERS
from multiplex.errors import UsageError

Shares = tuple[float, ...]
SLACK = 1e-3  # by which shares may miss 1 that were rounded when they were written
MOST_OPTIONS = len(LETTERS)  # each has a letter


class SurveyQuestion(BaseModel):
    """A closed question.

    Attributes:
        id: unique in its survey.
        options: in the order of the source, without those that are no answer.
        scale: by option its place on a scale, 0..1; None where the options have no order.
        non_answers: options such as "Don't know", set apart.
        paraphrases: other wordings of the text, by whoever made the survey file; each is asked too.
        cluster: questions that belong together (one battery) have the same; intervals are resampled by it.
    """

    model_config = ConfigDict(frozen=True)
    id: str
    text: str
    options: tuple[str, ...]
    scale: tuple[float, ...] | None = None
    non_answers: tuple[str, ...] = ()
    paraphrases: tuple[str, ...] = ()
    cluster: str = ""


class Survey(BaseModel):
    """Questions, and by question and country the answers of people.

    Attributes:
        name: of the source.
        shares: by question and country code, the share of each option, which sum to 1.
        means: by question and country code, the mean answer on the scale, 0..1, where no shares are known.
        notes: what was joined, renormalised, left out or set apart, a line each.

    Raises:
        ValueError: an id stands twice, options cannot be asked, shares are not as many as options or no distribution,
            or a mean lies outside the scale.
    """

    model_config = ConfigDict(frozen=True)
    name: str
    questions: tuple[SurveyQuestion, ...]
    shares: dict[str, dict[str, Shares]] = {}
    means: dict[str, dict[str, float]] = {}
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        for question in self.questions:
            wrong = check_options(question.id, question.options)
            if self.by_id[question.id] is not question:
                wrong = f"{question.id}: two questions have this id"
            wrong = wrong or self._wrong_answers(question)
            if wrong is not None:
                raise ValueError(wrong)
        return self

    def _wrong_answers(self, question: SurveyQuestion) -> str | None:
        shares = self.shares.get(question.id, {})
        rows = [*shares.values(), *((question.scale,) if question.scale else ())]
        if any(len(row) != len(question.options) for row in rows):
            return f"{question.id}: shares or a scale of another number than its {len(question.options)} options"
        for country, row in shares.items():
            if min(row) < 0 or not abs(math.fsum(row) - 1) <= SLACK:
                return f"{question.id}: the shares of {country} do not sum to 1, or one is negative"
        for country, mean in self.means.get(question.id, {}).items():
            if not 0 <= mean <= 1:
                return f"{question.id}: the mean of {country} is {mean:g}, and not from 0 to 1"
        return None

    @cached_property
    def by_id(self) -> dict[str, SurveyQuestion]:
        """The questions by their ids."""
        return {question.id: question for question in self.questions}

    @cached_property
    def digest(self) -> str:
        """16 hex digits, the same for the same questions and answers, whatever a survey is called or noted to be.

        Fields that say nothing are left out, so that a further field of a later version changes no digest.
        """
        return sha256(self.model_dump_json(include={"questions", "shares", "means"}, exclude_defaults=True))[:16]

    @cached_property
    def countries(self) -> tuple[str, ...]:
        """The codes of all countries, sorted."""
        return tuple(sorted({code for of in (self.shares, self.means) for each in of.values() for code in each}))

    def mean(self, question: str, country: str) -> float | None:
        """A country's mean answer on the scale, 0..1; None where it was not asked or the options have no order."""
        scale = self.by_id[question].scale
        if scale is None:
            return None
        known = self.means.get(question, {}).get(country)
        shares = self.shares.get(question, {}).get(country)
        return known if known is not None or shares is None else mean_on(scale, shares)

    def numbered(self) -> Survey:
        """The survey with the numbers of options as places on a scale for every question, ordered or not.

        The convention of papers that average option numbers; it is used only to repeat their figures.
        """
        questions = [q.model_copy(update={"scale": even_scale(len(q.options))}) for q in self.questions]
        return self._with(tuple(questions), self.shares, self.means)

    def restricted(self, questions: Sequence[str]) -> Survey:
        """The survey with these questions only, in this order."""
        kept = [self.by_id[name] for name in questions]
        shares = {name: self.shares[name] for name in questions if name in self.shares}
        means = {name: self.means[name] for name in questions if name in self.means}
        return self._with(tuple(kept), shares, means)

    def _with(
        self,
        questions: tuple[SurveyQuestion, ...],
        shares: dict[str, dict[str, Shares]],
        means: dict[str, dict[str, float]],
    ) -> Survey:
        # not model_copy, which would copy the cached properties too
        return Survey(name=self.name, questions=questions, shares=shares, means=means, notes=self.notes)


def mean_on(scale: Sequence[float], shares: Sequence[float]) -> float:
    """The mean of shares that sum to 1 over places on a scale."""
    return math.fsum(place * share for place, share in zip(scale, shares, strict=True))


def normalise(shares: Sequence[float]) -> Shares | None:
    """The shares divided by their sum; None where they hold a negative or unknown share, or sum to nothing."""
    total = math.fsum(shares)
    if not math.isfinite(total) or total <= 0 or any(share < 0 for share in shares):
        return None
    return tuple(share / total for share in shares)


def even_scale(options: int) -> tuple[float, ...]:
    """Places of so many options at even steps from 0 to 1."""
    return tuple(place / (options - 1) for place in range(options))


def most_divided(survey: Survey, number: int) -> list[str]:
    """The ids of the questions on which countries differ most, in the order of the survey.

    By the mean over pairs of countries of the total variation between their shares, or, where only means are known, by
    the variance of the means. These are not to be compared: of each kind, the same part is chosen.

    Raises:
        UsageError: no question was asked in two countries.
    """
    ranks: dict[str, float] = {}
    for by in (_variation, _variance):
        spread = {question.id: by(survey, question.id) for question in survey.questions if question.id not in ranks}
        known = sorted((-value, place, name) for place, (name, value) in enumerate(spread.items()) if value is not None)
        ranks |= {name: rank / len(known) for rank, (*_, name) in enumerate(known)}
    if not ranks:
        raise UsageError(f"{survey.name}: no question was asked in two countries, so none can be called divided")
    chosen = set(sorted(ranks, key=ranks.__getitem__)[:number])
    return [question.id for question in survey.questions if question.id in chosen]


def _variation(survey: Survey, question: str) -> float | None:
    import numpy as np

    rows = np.array(list(survey.shares.get(question, {}).values()))
    if len(rows) < 2:
        return None
    pairs = np.abs(rows[:, None] - rows[None]).sum(axis=2) / 2
    return float(pairs.sum() / (len(rows) * (len(rows) - 1)))


def _variance(survey: Survey, question: str) -> float | None:
    import numpy as np

    means = list(survey.means.get(question, {}).values())
    return float(np.var(means)) if len(means) > 1 else None


def check_options(name: str, options: Sequence[str]) -> str | None:
    """Why options cannot be asked; None where they can.

    `name` is of the question, for the message.
    """
    if len(options) < 2:
        return f"{name}: fewer than two options that are an answer"
    if len(options) > MOST_OPTIONS:
        return f"{name}: {len(options)} options; at most {MOST_OPTIONS} can be told apart by a letter"
    if len(set(options)) < len(options):
        return f"{name}: an option stands twice"
    return None


def shared(survey: Survey, asked: Mapping[str, object] | Sequence[str]) -> list[str]:
    """The ids that a survey and something else have in common, in the survey's order.

    Raises:
        UsageError: none.
    """
    both = [question.id for question in survey.questions if question.id in asked]
    if not both:
        raise UsageError(f"{survey.name}: no question in common; were the answers given to this survey?")
    return both
