"""What a survey run asks: which respondents, in which order and under which labels, as units of a run."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Literal, get_args

from multiplex.bench.plan.units import Unit
from multiplex.content import prompt, sha256
from multiplex.council.closed import ClosedQuestion, LabelSet, Method
from multiplex.council.personas import Council
from multiplex.council.seeds import call_seed
from multiplex.errors import UsageError
from multiplex.llm.logprobs import MOST
from multiplex.survey.countries import find_country
from multiplex.survey.data import Survey, SurveyQuestion, most_divided

Kind = Literal["personas", "countries", "forecast", "plain"]
KINDS: tuple[Kind, ...] = get_args(Kind)
METHODS: tuple[Method, ...] = get_args(Method)
LABELS: tuple[LabelSet, ...] = get_args(LabelSet)
WORDINGS = 2
PLAIN = "plain"
VOICED = "voice-model of "
DIVIDED = "most-divided:"


@dataclass(frozen=True)
class SurveyPlan:
    """How a survey is asked.

    Attributes:
        survey: the questions that are asked, with the answers of people.
        source: the digest of the whole survey that they are of.
        kinds: who is asked.
        countries: codes, of the respondents that are countries; those without answers of people are not asked.
        orders: how many orders of the options: as written, reversed, then drawn ones; two options have only two.
        labels: how many label sets.
        wordings: how many wordings of the prompt.
        draws: of the method `sample`.
        epochs: how often all of that is repeated, with other seeds.
        rounds: from 2 on each persona hears what the others answered in the round before, and is asked again.
        voice_models: by perspective, another model for one persona.
    """

    survey: Survey
    council: Council
    models: tuple[str, ...]
    source: str = ""
    kinds: tuple[Kind, ...] = ("personas", "countries", "plain")
    countries: tuple[str, ...] = ()
    method: Method = "logprobs"
    orders: int = 2
    labels: int = 2
    wordings: int = 1
    draws: int = 10
    epochs: int = 1
    rounds: int = 1
    voice_models: Mapping[str, str] = field(default_factory=dict)

    @property
    def settings(self) -> dict[str, str]:
        """What must stay the same for answers to stand in one run."""
        told: dict[str, object] = {
            "method": self.method,
            "orders": self.orders,
            "labels": self.labels,
            "wordings": self.wordings,
        }
        told |= {"council-rounds": self.rounds, "people": self.source}
        told |= {"draws": self.draws} if self.method == "sample" else {}
        told |= {f"{VOICED}{name}": model for name, model in sorted(self.voice_models.items())}
        return {name: str(value) for name, value in told.items()}


@dataclass(frozen=True)
class Respondent:
    """Who answers: `strategy` names it in the units, as `persona:islamic`, `country:EGY`, `forecast:EGY` or `plain`."""

    strategy: str
    persona: str = ""
    system: str = ""
    before: str = ""
    country: str | None = None
    model: str | None = None


@dataclass(frozen=True)
class _Form:
    """One form of a question; `epoch` counts forms and repetitions from 1."""

    epoch: int
    text: str
    wording: Literal[1, 2]
    labels: LabelSet
    order: tuple[int, ...]


def respondents(plan: SurveyPlan) -> list[Respondent]:
    """Everybody who is asked, in a fixed order.

    Raises:
        UsageError: a voice model is given for a perspective of no persona.
    """
    found: list[Respondent] = []
    by_perspective = {persona.perspective: persona for persona in plan.council.personas}
    for name in plan.voice_models:
        if name not in by_perspective:
            raise UsageError(f"--voice-model {name}: no persona of this perspective in the council")
    if "personas" in plan.kinds:
        found += [
            Respondent(f"persona:{p.name}", p.name, model=plan.voice_models.get(p.perspective))
            for p in plan.council.personas
        ]
    named = [(code, find_country(code).name) for code in plan.countries]
    if "countries" in plan.kinds:
        found += [
            Respondent(f"country:{code}", system=prompt("survey_country", country=name), country=code)
            for code, name in named
        ]
    if "forecast" in plan.kinds:
        found += [
            Respondent(f"forecast:{code}", before=prompt("survey_forecast", country=name), country=code)
            for code, name in named
        ]
    if "plain" in plan.kinds:
        found.append(Respondent(PLAIN))
    return found


def units(plan: SurveyPlan, seed: int) -> tuple[Unit, ...]:
    """Every unit of the run: all forms of a question together, question by question.

    Raises:
        UsageError: as `respondents`, or a number is out of range, or nothing is left to ask.
    """
    _check(plan)
    everybody = respondents(plan)
    found = tuple(
        _unit(plan, everybody, question, who, model, form, number, seed)
        for repeat in range(plan.epochs)
        for question in plan.survey.questions
        for number in range(1, plan.rounds + 1)
        for who in everybody
        if _asked(plan.survey, question, who) and (number == 1 or who.persona)
        for model in (plan.models[:1] if who.model else plan.models)
        for form in _forms(plan, question, repeat, seed)
    )
    if not found:
        raise UsageError(f"{plan.survey.name}: nothing to ask: no respondent has a question that its people answered")
    return found


def select_questions(survey: Survey, chosen: str | None) -> Survey:
    """The questions that `--questions` names: `most-divided:N`, or ids with commas; all by default.

    Raises:
        UsageError: an id is not in the survey, or the number is none.
    """
    if chosen is None:
        names = [question.id for question in survey.questions]
    elif chosen.startswith(DIVIDED):
        number = chosen.removeprefix(DIVIDED)
        if not number.isdecimal() or int(number) < 1:
            raise UsageError(f"--questions {chosen!r}: write {DIVIDED}50")
        names = most_divided(survey, int(number))
    else:
        names = list(dict.fromkeys(name.strip() for name in chosen.split(",") if name.strip()))
        for name in names:
            if name not in survey.by_id:
                raise UsageError(f"--questions: no question {name!r} in {survey.name}; or write {DIVIDED}50")
    return survey.restricted(names)


def select_kinds(names: Sequence[str]) -> tuple[Kind, ...]:
    """The kinds that `--respondents` names.

    Raises:
        UsageError: there is no such kind.
    """
    for name in names:
        if name not in KINDS:
            raise UsageError(f"--respondents {name!r}: there are {', '.join(KINDS)}")
    return tuple(kind for kind in KINDS if kind in names)


def select_method(name: str) -> Method:
    """The method that `--method` names.

    Raises:
        UsageError: there is no such method.
    """
    for method in METHODS:
        if method == name:
            return method
    raise UsageError(f"--method {name!r}: there are {', '.join(METHODS)}")


def askable(survey: Survey, method: Method) -> tuple[Survey, str | None]:
    """The questions that a method can ask, and in one line which it cannot.

    Raises:
        UsageError: it can ask none.
    """
    beyond = [q.id for q in survey.questions if len(q.options) > MOST] if method == "logprobs" else []
    if not beyond:
        return survey, None
    why = f"log probabilities come of {MOST} tokens at most, and --method verbalised or sample can ask them"
    kept = [question.id for question in survey.questions if question.id not in set(beyond)]
    if not kept:
        raise UsageError(f"{survey.name}: every question has more than {MOST} options; {why}")
    return survey.restricted(kept), f"left out, more than {MOST} options: {', '.join(beyond)}; {why}"


def select_countries(survey: Survey, names: Sequence[str]) -> tuple[str, ...]:
    """The codes that `--countries` names; by default all countries of the survey.

    Raises:
        UsageError: one is not in the survey.
    """
    codes = tuple(dict.fromkeys(find_country(name).code for name in names))
    for code in codes:
        if code not in survey.countries:
            raise UsageError(f"--countries: {code} is not in {survey.name}; it has {', '.join(survey.countries)}")
    return codes or survey.countries


def _check(plan: SurveyPlan) -> None:
    bounds = (
        ("orders", plan.orders, 10),
        ("labels", plan.labels, len(LABELS)),
        ("wordings", plan.wordings, WORDINGS),
    )
    for name, value, most in (*bounds, ("draws", plan.draws, 200), ("rounds", plan.rounds, 5)):
        if not 1 <= value <= most:
            raise UsageError(f"--{name} {value}: from 1 to {most}")


def _asked(survey: Survey, question: SurveyQuestion, who: Respondent) -> bool:
    if who.country is None:
        return True
    return any(who.country in of.get(question.id, {}) for of in (survey.shares, survey.means))


def _forms(plan: SurveyPlan, question: SurveyQuestion, repeat: int, seed: int) -> Iterator[_Form]:
    """Every form in which a question is asked: its texts, wordings of the prompt, label sets and orders."""
    texts = (question.text, *question.paraphrases)
    orders = orders_of(len(question.options), plan.orders, seed, question.id)
    every = list(product(texts, range(1, plan.wordings + 1), LABELS[: plan.labels], orders))
    for place, (text, wording, labels, order) in enumerate(every, 1):
        yield _Form(repeat * len(every) + place, text, 1 if wording == 1 else 2, labels, order)


def orders_of(options: int, number: int, seed: int, question: str) -> list[tuple[int, ...]]:
    """So many different orders of the options: as written, reversed, then drawn; fewer where no more exist."""
    written = tuple(range(options))
    found = [written, written[::-1]][:number]
    drawing = random.Random(call_seed(seed, question))  # an order, no secret
    while len(found) < min(number, math.factorial(options)):
        order = tuple(drawing.sample(written, options))
        if order not in found:
            found.append(order)
    return found


def _unit(
    plan: SurveyPlan,
    everybody: Sequence[Respondent],
    question: SurveyQuestion,
    who: Respondent,
    model: str,
    form: _Form,
    number: int,
    seed: int,
) -> Unit:
    """What one respondent is asked in one form and round; `model` is of the respondents without one of their own."""
    closed = ClosedQuestion(
        text=form.text,
        options=question.options,
        order=form.order,
        labels=form.labels,
        wording=form.wording,
        method=plan.method,
        persona=who.persona,
        system=who.system,
        before=who.before,
        draws=plan.draws if plan.method == "sample" else 1,
        round=number,
    )
    alone = model != plan.models[0]  # a persona with a model of its own sits in the council of the first model only
    others = [p for p in everybody if p.persona and p != who and not (alone and p.model)] if number > 1 else []
    return Unit(
        id=_unit_id(question, who, model, form, number),
        question_id=question.id,
        question=question.text,
        domain=question.cluster,
        model=who.model or model,
        strategy=who.strategy,
        epoch=form.epoch,
        seed=call_seed(seed, question.id, form.epoch),
        hears=tuple(_unit_id(question, each, model, form, number - 1) for each in others),
        closed=closed,
    )


def _unit_id(question: SurveyQuestion, who: Respondent, model: str, form: _Form, number: int) -> str:
    naming: list[object] = [question.id, question.text, question.options, who.model or model, who.strategy, form.epoch]
    return sha256(json.dumps(naming + ([number] if number > 1 else [])))[:16]
