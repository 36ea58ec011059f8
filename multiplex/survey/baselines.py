"""What can be had without a voice: the answers that every table sets beside the voices'."""

from __future__ import annotations

from collections.abc import Sequence

from multiplex.survey.countries import find_country
from multiplex.survey.data import Shares, Survey
from multiplex.survey.measures import majority


def mean_of(survey: Survey, question: str, countries: Sequence[str]) -> Shares | None:
    """The mean distribution of those of the countries that were asked; None where none was."""
    known = [shares for code in countries if (shares := survey.shares.get(question, {}).get(code)) is not None]
    if not known:
        return None
    return tuple(sum(column) / len(known) for column in zip(*known, strict=True))


def others(survey: Survey, country: str, *, own_perspective: bool = False) -> list[str]:
    """The other countries, or those of the same perspective; a country in none has none of its own."""
    home = find_country(country).perspective
    return [
        code
        for code in survey.countries
        if code != country and (not own_perspective or (home is not None and find_country(code).perspective == home))
    ]


def majorities_of(survey: Survey, countries: Sequence[str]) -> dict[str, int]:
    """By question, the majority option of the countries' mean distribution."""
    return {
        question.id: majority(shares)
        for question in survey.questions
        if (shares := mean_of(survey, question.id, countries)) is not None
    }


def majorities(survey: Survey, country: str) -> dict[str, int]:
    """By question, the majority option of a country."""
    return {
        question.id: majority(shares)
        for question in survey.questions
        if (shares := survey.shares.get(question.id, {}).get(country)) is not None
    }
