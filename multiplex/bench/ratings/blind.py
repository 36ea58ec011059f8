"""A blind set: which answers of a run are rated, under which letters, and the key that says whose they are.

The raters get a `Sheet`, which holds questions, letters and texts and nothing else; the `Key` stays in the run.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from string import ascii_uppercase
from typing import Literal

from pydantic import BaseModel, ConfigDict

from multiplex.bench.plan.questions import Question, QuestionSet
from multiplex.bench.plan.questions import chosen as chosen_questions
from multiplex.bench.plan.units import STRATEGIES, BenchStrategy
from multiplex.bench.store.records import Record
from multiplex.content import sha256
from multiplex.council.answer import Answer
from multiplex.council.locales import locale_of
from multiplex.errors import UsageError

Form = BenchStrategy | Literal["voices"]
VOICES: Literal["voices"] = "voices"
FORMS: tuple[Form, ...] = (*STRATEGIES, VOICES)
"""What can be rated: the answer of each strategy, and the voices of the multiplex answer side by side."""

TextOf = Callable[[Form, str], str]
"""The text that a reader sees of a form and a unit's id."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ShownAnswer(_Frozen):
    """An answer as a rater gets it."""

    letter: str
    text: str


class ShownQuestion(_Frozen):
    """A question as a rater gets it: its number from 1, its words, its answers by letter."""

    number: int
    question: str
    answers: tuple[ShownAnswer, ...]


class Sheet(_Frozen):
    """All that raters get of a set."""

    set: str
    questions: tuple[ShownQuestion, ...]


class KeyAnswer(_Frozen):
    """Whose an answer is; `text` is the SHA-256 of what was shown."""

    form: Form
    unit: str
    text: str


class KeyQuestion(_Frozen):
    """A question of a set with the answers under its letters, all of one model and epoch."""

    number: int
    question_id: str
    question: str
    domain: str
    model: str
    epoch: int
    letters: dict[str, KeyAnswer]


class Key(_Frozen):
    """What the raters must not know.

    Attributes:
        set: 12 hex digits that name the set; they depend on every text and letter, so no other run has them.
        seed: of the choice of questions and of every order.
        rubric: `Rubric.digest` of what the raters were told.
    """

    set: str
    seed: int
    rubric: str
    forms: tuple[Form, ...]
    questions: tuple[KeyQuestion, ...]


@dataclass(frozen=True)
class Candidate:
    """One question, model and epoch of a run, and the units whose answers can be shown, by form."""

    question: Question
    model: str
    epoch: int
    units: dict[Form, str] = field(default_factory=dict)


def checked_forms(names: Sequence[str]) -> tuple[Form, ...]:
    """The forms without repetition, in the order in which they are known.

    Raises:
        UsageError: one is unknown, or there is none.
    """
    for name in names:
        if name not in FORMS:
            raise UsageError(f"--strategies: nothing called {name!r} can be rated; there are {', '.join(FORMS)}")
    if not names:
        raise UsageError(f"--strategies names none; there are {', '.join(FORMS)}")
    return tuple(form for form in FORMS if form in names)


def read_form(form: Form, answer: Answer) -> str:
    """What a reader sees of an answer in this form; empty where there is nothing to see.

    A voice that was lost is named, as in the multiplex answer; its error is not, since that can tell of the model.
    """
    if form != VOICES:
        return answer.text.strip()
    spoke = [f"## {_line(voice.title)}\n\n{voice.text.strip()}" for voice in answer.voices if voice.text.strip()]
    if not spoke:
        return ""
    lost = [_line(voice.title) for voice in answer.voices if not voice.text.strip()]
    locale = locale_of(answer.language)
    notice = [f"*{locale.say('missing', voices=locale.title_list(lost))}*"] if lost else []
    return "\n\n".join([*spoke, *notice])


def _line(title: str) -> str:
    return " ".join(title.split())


def find_candidates(records: Iterable[Record]) -> list[Candidate]:
    """What of a run can be shown, by question, model and epoch, in the order of the run.

    Of a run in several languages that is what its report is of: what was asked in the set's own words, or, where no
    such question was answered, in the first language that was.
    """
    by_language: dict[str, dict[tuple[str, str, int], Candidate]] = {}
    for record in records:
        unit, answer = record.unit, record.answer
        question = Question(id=unit.question_id, question=unit.question, domain=unit.domain, cued=unit.cued)
        found = by_language.setdefault(unit.language, {})
        of = found.setdefault(
            (unit.question_id, unit.model, unit.epoch), Candidate(question, unit.model, unit.epoch)
        ).units
        forms = [form for form in FORMS if form == unit.strategy or (form, unit.strategy) == (VOICES, "multiplex")]
        of.update({form: unit.id for form in forms if answer is not None and read_form(form, answer)})
    answered = [language for language, found in by_language.items() if any(each.units for each in found.values())]
    chosen = min(answered, key=lambda language: language != "", default=None)
    return [] if chosen is None else list(by_language[chosen].values())


def find_usable(candidates: Sequence[Candidate], forms: Sequence[Form]) -> dict[str, dict[str, Candidate]]:
    """By question and model the first epoch that has every form.

    A question is usable where that is so for every model for which it is so anywhere.

    Raises:
        UsageError: a form has no answer in the run, or no question has all forms.
    """
    there = [form for form in FORMS if any(form in each.units for each in candidates)]
    for form in forms:
        if form not in there:
            missing = "no multiplex answer of this run holds voices" if form == VOICES else f"no answer of {form!r}"
            raise UsageError(f"--strategies: {missing}; this run can show {', '.join(there) or 'nothing'}")
    whole: dict[str, dict[str, Candidate]] = {}
    for each in candidates:
        if all(form in each.units for form in forms):
            whole.setdefault(each.question.id, {}).setdefault(each.model, each)
    models = {model for of in whole.values() for model in of}
    usable = {name: of for name, of in whole.items() if of.keys() == models}
    if not usable:
        raise UsageError(f"no question of this run has an answer in each of: {', '.join(forms)}; list fewer")
    return usable


def choose(usable: Mapping[str, Mapping[str, Candidate]], limit: int | None, seed: int) -> list[Candidate]:
    """The questions to rate, once a model, in an order that the seed draws.

    `limit` counts questions; which are taken is even over domains, as in `questions.chosen`.

    Raises:
        UsageError: the limit is too large, or below 1.
    """
    if limit is not None and limit > len(usable):
        many = "1 question of this run has" if len(usable) == 1 else f"{len(usable)} questions of this run have"
        raise UsageError(f"--limit {limit}: only {many} an answer in each form that is listed")
    questions = tuple(next(iter(of.values())).question for of in usable.values())
    first = chosen_questions(QuestionSet(name="", questions=questions), limit, seed)
    taken = [each for question in first for each in usable[question.id].values()]
    random.Random(f"{seed} questions").shuffle(taken)
    return taken


def make_key(chosen: Sequence[Candidate], forms: Sequence[Form], seed: int, rubric: str, text_of: TextOf) -> Key:
    """Put the answers of every question under letters, in an order of its own that the seed draws."""
    questions = []
    for number, each in enumerate(chosen, start=1):
        order = list(forms)
        random.Random(f"{seed} {each.question.id} {each.model}").shuffle(order)
        letters = {
            letter: KeyAnswer(form=form, unit=each.units[form], text=sha256(text_of(form, each.units[form])))
            for letter, form in zip(ascii_uppercase, order, strict=False)
        }
        of = each.question
        questions.append(
            KeyQuestion(number=number, question_id=of.id, question=of.question, domain=of.domain, model=each.model,
                        epoch=each.epoch, letters=letters)
        )  # fmt: skip
    made = [question.model_dump() for question in questions]
    name = sha256(json.dumps([seed, rubric, made], sort_keys=True))[:12]
    return Key(set=name, seed=seed, rubric=rubric, forms=tuple(forms), questions=tuple(questions))


def make_sheet(key: Key, text_of: TextOf) -> Sheet:
    """What the raters of a set get.

    Raises:
        UsageError: an answer of the run is no longer what the key was made of.
    """
    questions = []
    for each in key.questions:
        answers = []
        for letter, of in each.letters.items():
            text = text_of(of.form, of.unit)
            if sha256(text) != of.text:
                raise UsageError(f"set {key.set}: the answer of unit {of.unit} has changed since the set was made")
            answers.append(ShownAnswer(letter=letter, text=text))
        questions.append(ShownQuestion(number=each.number, question=each.question, answers=tuple(answers)))
    return Sheet(set=key.set, questions=tuple(questions))
