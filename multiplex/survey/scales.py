"""Options of a closed question: which are no answer, and where the others lie on a scale."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

_NON_ANSWER = re.compile(
    r"\b(?:don['’]?t know|do not know|dk|don['’]?t -\d|refused|no answer|no response|missing|inap|not asked"
    r"|not applicable|not available|can['’]?t (?:rate|choose|say)|unknown|spontaneous"
    r"|never heard of|i am not of|not allowed to|refusal|(?:refuse|declined?) to (?:answer|say)|no opinion"
    r"|prefer(?:red)? not to (?:answer|say)|would rather not (?:answer|say))\b|#null!",
    re.IGNORECASE,
)
_UNASKED = re.compile(r"\((?:vol|do not read|dnr)\.?\)", re.IGNORECASE)  # not offered to respondents, yet an answer
_NUMBER = re.compile(r"^\s*(-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?)\b")
_MIDDLE = re.compile(
    r"\b(?:same|neither|no change|not changed|don['’]?t mind|no effect"
    r"|no (?:difference|influence|impact)|both|unsure"
    r"|(?:about|right) (?:the )?(?:right|amount)|does not make a difference"
    r"|equal\w*|hard to say|depends|as important as|not much difference)\b",
    re.IGNORECASE,
)
_UPPER = (
    r"very|completely|strongly|totally|entirely|a lot|great deal|definitely|always|all|major|most|much|complete|large"
)
_LOWER = (
    r"somewhat|fairly|rather|mostly|quite|moderate\w*|some|fair|probably|often|sometimes|agree|disagree|few|minor|small"
    r"|a little|only|just|rarely|seldom|many|several|more|less|might|once"
    r"|usually|frequently|occasionally|daily|weekly|monthly|close|good|bad"
)
_NONE = r"not|no|never|none|nothing|poor"
_NOTHING = re.compile(rf"\s*(?:{_NONE})\b", re.IGNORECASE)
_DEGREE = re.compile(rf"\b(?:{_UPPER}|{_LOWER}|{_NONE})\b", re.IGNORECASE)


class Split(NamedTuple):
    """The places of the options that are an answer, and of those that are none."""

    answers: tuple[int, ...]
    non_answers: tuple[int, ...]


def split_options(options: Sequence[str]) -> Split:
    """Which options are an answer: "Don't know", "DK/Refused" or "Missing; Unknown" is none."""
    none = tuple(place for place, option in enumerate(options) if _NON_ANSWER.search(option))
    return Split(tuple(place for place in range(len(options)) if place not in none), none)


def find_scale(options: Sequence[str]) -> tuple[float, ...] | None:
    """By option its place on a scale, 0..1, evenly spaced; None where the options have no order that can be told.

    There is none where an option is no answer, or was not offered. Two options always have one. Numbers are put in
    order wherever they stand, between the two options that name their ends: "None" or "Not at all" is the lower, else
    the one that stands first, or the last where the numbers fall from one to the next. A third option such as "About
    the same" is put between the others. Four and more count as ordered where nearly every one holds a word of degree
    ("very", "somewhat", "not at all").
    """
    if len(options) < 2 or any(_UNASKED.search(option) or _NON_ANSWER.search(option) for option in options):
        return None
    if len(options) == 2:
        return (0.0, 1.0)
    return _numbers(options) or _three(options) or _degrees(options)


def _numbers(options: Sequence[str]) -> tuple[float, ...] | None:
    found = ((place, _NUMBER.match(option)) for place, option in enumerate(options))
    numbers = {place: float(match.group(1).replace(",", "")) for place, match in found if match}
    named = [place for place in range(len(options)) if place not in numbers]
    if len(numbers) < 2 or len(named) > 2 or len(set(numbers.values())) < len(numbers):
        return None
    inner = sorted(numbers, key=numbers.__getitem__)
    low, high = _ends(options, named, inner)
    order = [*low, *inner, *high]
    places = {option: rank / (len(order) - 1) for rank, option in enumerate(order)}
    return tuple(places[place] for place in range(len(options)))


def _ends(options: Sequence[str], named: list[int], inner: list[int]) -> tuple[list[int], list[int]]:
    """Of the `named` options at most one below and one above the numbers, which are at `inner` in rising order."""
    nothing = [place for place in named if _NOTHING.match(options[place])]
    if len(nothing) == 1:
        return nothing, [place for place in named if place not in nothing]
    falling = inner == [*range(inner[0], inner[-1] - 1, -1)]
    if len(named) == 1:  # it stands on the side where the numbers leave room
        return (named, []) if (named[0] < inner[0]) is not falling else ([], named)
    return (named[1:], named[:1]) if falling else (named[:1], named[1:])


def _three(options: Sequence[str]) -> tuple[float, ...] | None:
    if len(options) != 3:
        return None
    middle = [place for place, option in enumerate(options) if _MIDDLE.search(option)]
    steps = sum("more" in option.lower() for option in options) > 1  # "much more", "somewhat more", "no change"
    if len(middle) == 1 and not steps:
        ends = iter((0.0, 1.0))
        return tuple(0.5 if place == middle[0] else next(ends) for place in range(3))
    return _degrees(options)


def _degrees(options: Sequence[str]) -> tuple[float, ...] | None:
    graded = sum(bool(_DEGREE.search(option)) for option in options)
    longest = max(len(option.split()) for option in options)
    if graded < len(options) - (len(options) > 3) or longest > 9:
        return None
    middle = [place for place, option in enumerate(options) if _MIDDLE.search(option)]
    order = list(range(len(options)))
    if len(middle) == 1 and len(options) % 2 and len(options) > 3:
        order.insert(len(options) // 2, order.pop(middle[0]))
    return tuple(order.index(place) / (len(options) - 1) for place in range(len(options)))
