"""Puts a survey together from what a reader finds, and tells what was joined, renormalised or left out."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from multiplex.errors import ContentError
from multiplex.survey.countries import find_country
from multiplex.survey.data import Shares, Survey, SurveyQuestion, check_options, normalise
from multiplex.survey.scales import Split, find_scale, split_options
from multiplex.text.listing import listed

WHOLE = 0.02  # how far a sum of shares may lie from 1 before it is told
SHOWN = 60  # characters of a text in a message


@dataclass(frozen=True)
class QuestionDraft:
    """A question as a source has it: all its options, non-answers among them."""

    id: str
    text: str
    options: tuple[str, ...]
    cluster: str = ""
    paraphrases: tuple[str, ...] = ()


class Assembly:
    """A survey in the making.

    Args:
        name: of the survey.
        keep_non_answers: whether "Don't know" and the like stay among the options.
    """

    def __init__(self, name: str, keep_non_answers: bool = False) -> None:
        self._name, self._keep = name, keep_non_answers
        self._drafts: dict[str, QuestionDraft] = {}
        self._splits: dict[str, Split] = {}
        self._shares: dict[str, dict[str, list[Shares]]] = {}
        self._means: dict[str, dict[str, list[float]]] = {}
        self._names: dict[str, set[str]] = {}
        self._rescaled = 0
        self._least = math.inf
        self._apart: Counter[str] = Counter()
        self._told: dict[str, list[str]] = {}

    def add(self, draft: QuestionDraft, path: Path, line: int) -> None:
        """A question; one that is there already stays as it is.

        Raises:
            ContentError: it is there with another wording, or with other options than these in any order.
        """
        first = self._drafts.get(draft.id)
        if first is None:
            self._drafts[draft.id] = draft
            everything = Split(tuple(range(len(draft.options))), ())
            self._splits[draft.id] = everything if self._keep else split_options(draft.options)
            self._apart.update(draft.options[place] for place in self._splits[draft.id].non_answers)
        elif draft.text != first.text:
            what = f"{draft.id!r} stood for another question before, {_start(first.text)}; give each its own id"
            raise ContentError(path, what, line=line, field="question")
        elif sorted(draft.options) != sorted(first.options):
            what = f"{draft.id!r} had other options before, {_start('|'.join(first.options))}; give each its own id"
            raise ContentError(path, what, line=line, field="options")

    def add_shares(self, draft: QuestionDraft, country: str, shares: Sequence[float], path: Path, line: int) -> None:
        """How a country answered a question that was added, a share for each option in the order of this draft.

        Raises:
            ContentError: the number of shares is not that of the options, or one is negative or no number.
        """
        question, options, split = draft.id, self._drafts[draft.id].options, self._splits[draft.id]
        if len(shares) != len(options):
            what = f"{len(shares)} shares for the {len(options)} options of {question}"
            raise ContentError(path, what, line=line, field="distribution")
        if any(not math.isfinite(share) or share < 0 for share in shares):
            raise ContentError(path, "a share is negative or no number", line=line, field="distribution")
        if draft.options != options:
            shares = [shares[draft.options.index(option)] for option in options]
        total = math.fsum(shares)
        whole = normalise([shares[place] for place in split.answers])
        if whole is None:
            self.leave_out(f"{question} in {country}", "nobody gave an answer")
            return
        if abs(total - 1) > WHOLE and abs(total - 100) > 100 * WHOLE:
            self._rescaled += 1
            self._least = min(self._least, total)
        self._shares.setdefault(question, {}).setdefault(self._code(country), []).append(whole)

    def add_number(self, question: str, country: str, mean: float, path: Path, line: int) -> None:
        """The mean of the numbers that a country's answers have among the options.

        Options are numbered from 1, or from 0 where the first is "0".

        Raises:
            ContentError: the mean is no number between those of the first and the last answer.
        """
        options, answers = self._drafts[question].options, self._splits[question].answers
        if len(answers) < 2:
            return  # told with the options
        steps = answers[-1] - answers[0]
        first = answers[0] + (options[0].strip() != "0")
        self.add_mean(question, country, (mean - first) / steps, path, line)

    def add_mean(self, question: str, country: str, mean: float, path: Path, line: int) -> None:
        """The mean answer of a country on the scale of the question, 0..1.

        Raises:
            ContentError: the mean is not on the scale.
        """
        if not 0 <= mean <= 1:
            raise ContentError(
                path, f"the mean lies outside the scale ({mean:.3g} of 0 to 1)", line=line, field=question
            )
        self._means.setdefault(question, {}).setdefault(self._code(country), []).append(mean)

    def leave_out(self, what: str, why: str) -> None:
        """Note that something of the source is not in the survey."""
        self.tell(f"left out, {why}", what)

    def tell(self, what: str, *of: str) -> None:
        """Note something, and what it is true of."""
        self._told.setdefault(what, []).extend(of)

    def survey(self, path: Path) -> Survey:
        """The survey, with its notes.

        Raises:
            ContentError: nothing is left of it.
        """
        questions = [made for draft in self._drafts.values() if (made := self._question(draft)) is not None]
        asked = {question.id for question in questions}
        shares = {n: {c: _joined(e) for c, e in of.items()} for n, of in self._shares.items() if n in asked}
        means = {n: {c: sum(e) / len(e) for c, e in of.items()} for n, of in self._means.items() if n in asked}
        for kind in (self._shares, self._means):
            twice = [f"{n} in {c}" for n, of in kind.items() if n in asked for c, each in of.items() if len(each) > 1]
            if twice:
                self.tell("a country's answers to one question were given more than once, and averaged", *twice)
        never = [name for name, of in shares.items() if not all(map(any, zip(*of.values(), strict=True)))]
        if never:
            told = "questions with an option that no country chose, which may be coded otherwise than listed"
            self.tell(f"{told}: {', '.join(never)}")
        notes = (*self._notes(), *(f"{what}: {listed(of)}" if of else what for what, of in self._told.items()))
        if not questions:
            raise ContentError(path, f"no question with answers; {'; '.join(notes) or 'nothing was read'}")
        return Survey(name=self._name, questions=tuple(questions), shares=shares, means=means, notes=notes)

    def _question(self, draft: QuestionDraft) -> SurveyQuestion | None:
        split = self._splits[draft.id]
        options = tuple(draft.options[place] for place in split.answers)
        why = check_options(draft.id, options)
        if why is None and draft.id not in self._shares and draft.id not in self._means:
            why = "no country has answers"
        if why is None and not self._keep and holds_several(list(self._shares.get(draft.id, {}).values())):
            why = "countries chose among different options, so it is no one question"
        if why is not None:
            self.leave_out(draft.id, why.removeprefix(f"{draft.id}: "))
            return None
        scale = find_scale(options)
        listed = sorted(scale or ()) == [*(scale or ())] and split.answers[-1] - split.answers[0] < len(options)
        if draft.id in self._means and scale is not None and not listed:
            self.tell("means that have no place on a scale, as options are not listed in their order", draft.id)
            scale = None
        return SurveyQuestion(
            id=draft.id,
            text=draft.text,
            options=options,
            scale=scale,
            non_answers=tuple(draft.options[place] for place in split.non_answers),
            cluster=draft.cluster,
            paraphrases=draft.paraphrases,
        )

    def _code(self, name: str) -> str:
        country = find_country(name)
        self._names.setdefault(country.code, set()).add(name.strip())
        return country.code

    def _notes(self) -> list[str]:
        notes = []
        if self._rescaled:
            notes.append(
                f"{self._rescaled:,} distributions did not sum to 1 (least {self._least:.2f}); each was divided by its "
                "sum"
            )
        if self._apart:
            told = listed([f"{option!r} ({times})" for option, times in self._apart.most_common()])
            notes.append(f"options that are no answer, set apart: {told}")
        joined = [f"{' and '.join(sorted(names))} ({code})" for code, names in self._names.items() if len(names) > 1]
        if joined:
            notes.append(f"names of one country, joined: {listed(joined)}")
        homeless = [code for code in self._names if find_country(code).perspective is None]
        if homeless:
            notes.append(f"in no perspective, counted among all countries only: {listed(homeless)}")
        return notes


def holds_several(countries: Sequence[Sequence[Shares]]) -> bool:
    """Whether options fall into groups of two or more that no country chose across: several questions under one id.

    `countries` are the distributions of each country. Published files hold such questions, and between countries that
    were asked different ones every distance is the largest there is.
    """
    groups: list[set[int]] = []
    for rows in countries:
        chosen = {place for shares in rows for place, share in enumerate(shares) if share > 0}
        groups = [*(g for g in groups if not g & chosen), chosen.union(*(g for g in groups if g & chosen))]
    return sum(len(group) > 1 for group in groups) > 1


def _joined(rows: Sequence[Shares]) -> Shares:
    """The mean of several distributions of one country."""
    return tuple(sum(column) / len(rows) for column in zip(*rows, strict=True))


def _start(text: str) -> str:
    return repr(text if len(text) <= SHOWN else f"{text[:SHOWN]}...")
