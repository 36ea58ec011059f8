"""Scores recorded answers: how models that played countries compare with their people; no model is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from multiplex.errors import ContentError, UsageError
from multiplex.survey.baselines import majorities, majorities_of, others
from multiplex.survey.countries import find_country
from multiplex.survey.data import Survey
from multiplex.survey.measures import alignment, option_distance
from multiplex.survey.plan import select_countries
from multiplex.survey.profiles import ceiling as ceiling_of
from multiplex.survey.profiles import centre, correlations, identification, leave_one_out, nearest_own
from multiplex.survey.readers import read_rows
from multiplex.survey.spread import diversity, spanning_length
from multiplex.text.listing import listed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Choices = dict[str, dict[str, int]]  # by country and question, the place of the chosen option, from 0


class ReplayRow(BaseModel):
    """One line of the replayed table; what cannot be measured is None and `note` says why.

    Attributes:
        who: a model, or a baseline.
        countries: whose people it was compared with.
        alignment: mean over countries, 0..100.
        diversity: of its countries' answers, 0..100.
        spanning: the mean edge of the minimum spanning tree over them, 0..100.
        profile_r, other_r: the mean r of its countries' profiles with their own country's, and with the others', option
            numbers being places on a scale for every question, as papers have it.
        ordered_r: `profile_r` over the questions whose options have an order.
        identified, chance: the share of countries whose own profile is the nearest, 0..1.
        missing: answers that were null, or no option of their question, left out.
    """

    model_config = ConfigDict(frozen=True)
    who: str
    countries: int
    alignment: float | None
    diversity: float | None = None
    spanning: float | None = None
    profile_r: float | None = None
    other_r: float | None = None
    ordered_r: float | None = None
    identified: float | None = None
    chance: float | None = None
    missing: int = 0
    note: str = ""


class Replay(BaseModel):
    """Recorded answers beside people's.

    Attributes:
        people: the countries' own diversity and spanning tree.
        ceiling: by perspective, the mean r of a country's profile with the others of its perspective.
        nearest: how many countries stand nearest their own perspective, of how many that could.
    """

    model_config = ConfigDict(frozen=True)
    countries: tuple[str, ...]
    questions: int
    people: ReplayRow
    baselines: tuple[ReplayRow, ...]
    models: tuple[ReplayRow, ...]
    ceiling: dict[str, float]
    nearest: tuple[int, int]
    notes: tuple[str, ...] = ()


def read_recorded(path: Path, survey: Survey) -> tuple[dict[str, Choices], dict[str, int], list[str]]:
    """By model, what was recorded, and how many answers were null or no option of their question; and what questions
    were answered that the survey does not have.

    A row has `model`, `country` and either `answers`, an object of question and option number (from 1), or, in a
    table, `question` (the id) and `option`.

    Raises:
        ContentError: a row lacks a field, or a model answers a question twice as one country.
        UsageError: no answer is to a question of the survey.
    """
    found: dict[str, Choices] = {}
    missing: dict[str, int] = {}
    unknown: dict[str, None] = {}
    options = {question.id: len(question.options) for question in survey.questions}
    for line, row in read_rows(path):
        model, country = (_text(path, line, name, row.get(name)) for name in ("model", "country"))
        answers = row.get("answers")
        if answers is None:
            name = row.get("question") if row.get("question") not in (None, "") else row.get("id")
            answers = {_text(path, line, "question", name): row.get("option")}
        if not isinstance(answers, Mapping):
            raise ContentError(path, "an object of question and option number is needed", line=line, field="answers")
        own = found.setdefault(model, {}).setdefault(find_country(country).code, {})
        for question, given in answers.items():
            if question not in options:
                unknown[str(question)] = None
                continue
            option = _option(given)
            if option is None or not 1 <= option <= options[question]:
                missing[model] = missing.get(model, 0) + 1
            elif question in own:
                what = f"a second answer of {model} as {country}; only one can be scored"
                raise ContentError(path, what, line=line, field=question)
            else:
                own[question] = option - 1
    if not any(own for countries in found.values() for own in countries.values()):
        raise UsageError(f"{path}: no answer to a question of {survey.name}; were they given to these questions?")
    return found, missing, list(unknown)


def replay(
    survey: Survey,
    recorded: Mapping[str, Choices],
    missing: Mapping[str, int],
    unknown: Sequence[str] = (),
    chosen: Sequence[str] = (),
) -> Replay:
    """The table of every model beside the baselines, over `chosen` countries or all; `unknown` questions are told.

    Raises:
        UsageError: a chosen country is not in the survey.
    """
    codes = select_countries(survey, chosen)
    people = {code: majorities(survey, code) for code in survey.countries}
    models = [_row(survey, people, model, own, codes, missing.get(model, 0)) for model, own in recorded.items()]
    strange = sorted({code for own in recorded.values() for code in own if code not in people})
    notes = [f"recorded as countries that the survey does not have, left out: {', '.join(strange)}"] if strange else []
    if unknown:
        notes.append(f"recorded answers to questions that the survey does not have, left out: {listed(unknown)}")
    loo = leave_one_out(human_rows(survey.numbered(), survey.countries), homes(survey))
    return Replay(
        countries=codes,
        questions=len(survey.questions),
        people=_row(survey, people, "people", {code: people[code] for code in codes}, codes, 0),
        baselines=tuple(_baselines(survey, people, codes)),
        models=tuple(models),
        ceiling=ceiling_of(loo, homes(survey)),
        nearest=nearest_own(loo, homes(survey)),
        notes=(*survey.notes, *notes),
    )


def _row(survey: Survey, people: Choices, who: str, recorded: Choices, codes: Sequence[str], missing: int) -> ReplayRow:
    options = {question.id: len(question.options) for question in survey.questions}
    own = {code: recorded[code] for code in codes if recorded.get(code)}
    lacking = [code for code in codes if code not in own]
    aligned = [alignment(each, people[code], options) for code, each in own.items()]
    known = [each for each in aligned if each is not None]

    def apart(a: Mapping[str, int], b: Mapping[str, int]) -> float | None:
        return option_distance(a, b, options)

    profile: dict[str, Any] = {}
    if who != "people" and len(own) > 1:
        matrix = _profiles(survey.numbered(), own)
        mine = [row[place] for place, row in enumerate(matrix)]
        rest = [value for place, row in enumerate(matrix) for column, value in enumerate(row) if column != place]
        ordered = [row[place] for place, row in enumerate(_profiles(survey, own))]
        profile = {"profile_r": _mean(mine), "other_r": _mean(rest), "ordered_r": _mean(ordered)}
        if (found := identification(matrix)) is not None:
            profile |= {"identified": found[0], "chance": found[1]}
    return ReplayRow(
        who=who,
        countries=len(own),
        alignment=sum(known) / len(known) if known and who != "people" else None,
        diversity=diversity(list(own.values()), apart),
        spanning=spanning_length(list(own.values()), apart),
        missing=missing,
        note=f"no answers for {', '.join(lacking)}" if lacking else "",
        **profile,
    )


def _profiles(survey: Survey, own: Choices) -> list[list[float | None]]:
    """The r of each country's recorded profile (rows) with each country's people (columns)."""
    return correlations(centre(_rows(survey, own)), centre(human_rows(survey, list(own))))


def _baselines(survey: Survey, people: Choices, codes: Sequence[str]) -> list[ReplayRow]:
    options = {question.id: len(question.options) for question in survey.questions}
    found = []
    for who, own_only in (("one answer for all", False), ("own perspective's other countries", True)):
        values, alone = [], []
        for code in codes:
            rest = others(survey, code, own_perspective=own_only)
            value = alignment(majorities_of(survey, rest), people[code], options) if rest else None
            if value is None:
                alone.append(code)
            else:
                values.append(value)
        note = f"no other country of its perspective: {', '.join(alone)}" if alone else ""
        found.append(ReplayRow(who=who, countries=len(values), alignment=_mean(values), note=note))
    return found


def _rows(survey: Survey, own: Choices) -> NDArray[np.float64]:
    """The chosen options' places on the scale, shape (countries, questions with a scale); NaN where none was chosen."""
    import numpy as np

    scaled = [question for question in survey.questions if question.scale is not None]
    rows = np.full((len(own), len(scaled)), np.nan)
    for place, each in enumerate(own.values()):
        for column, question in enumerate(scaled):
            if question.id in each and question.scale is not None:
                rows[place, column] = question.scale[each[question.id]]
    return rows


def human_rows(survey: Survey, codes: Sequence[str]) -> NDArray[np.float64]:
    """People's mean answers, shape (countries, questions that have a scale), 0..1, NaN where they were not asked."""
    import numpy as np

    scaled = [question.id for question in survey.questions if question.scale is not None]
    rows = [[survey.mean(question, code) for question in scaled] for code in codes]
    return np.array(rows, dtype=np.float64).reshape(len(codes), len(scaled))


def homes(survey: Survey) -> list[str | None]:
    """The perspective of each country of a survey."""
    return [find_country(code).perspective for code in survey.countries]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _option(given: Any) -> int | None:
    try:
        number = float(given)
    except (TypeError, ValueError):
        return None
    return int(number) if number.is_integer() else None


def _text(path: Path, line: int, field: str, value: Any) -> str:
    if not isinstance(value, str | int) or not str(value).strip():
        raise ContentError(path, "missing", line=line, field=field)
    return str(value).strip()
