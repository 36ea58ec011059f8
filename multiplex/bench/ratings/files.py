"""Rating files: what a rater hands back, what is wrong with one, and what a run keeps of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from multiplex.bench.ratings.blind import Key
from multiplex.bench.ratings.rubric import LEAST, MOST, POINTS
from multiplex.content import sha256
from multiplex.errors import ContentError, first_invalid
from multiplex.llm.usage import Usage

Mark = Annotated[int, Field(strict=True, ge=LEAST, le=MOST)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Kind = Literal["person", "model"]


class PointMarks(BaseModel):
    """The six points of one answer, 1..7 each."""

    model_config = ConfigDict(frozen=True)
    rep: Mark
    depth: Mark
    diff: Mark
    true: Mark
    read: Mark
    use: Mark

    @property
    def values(self) -> tuple[int, ...]:
        """In the order of `POINTS`."""
        return tuple(getattr(self, name) for name in POINTS)


class Rated(PointMarks):
    """One answer as a rater found it; `false_claims` are the rater's own words, empty where there are none."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    question: Annotated[int, Field(strict=True, ge=1)]
    letter: str
    false_claims: Annotated[str, StringConstraints(strip_whitespace=True, max_length=20_000)] = ""


class Rating(BaseModel):
    """A rating file, as `rate.html` saves it.

    Attributes:
        set: of `Key.set`; the file names no strategy.
        rater: a name or initials, or a model's name.
        belongs: the tradition that the rater says they belong to, in their own words; None where none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    format: Literal["ratings/1"] = "ratings/1"
    set: str
    rater: Name
    belongs: Name | None
    ratings: Annotated[tuple[Rated, ...], Field(min_length=1)]


class Accepted(BaseModel):
    """A rating as the run keeps it.

    Attributes:
        kind: whether a person or a language model rated.
        place: the endpoint of a model; empty for a person.
        unread: by question, why a model's marks could not be had; those questions are not counted.
        usage: what a model's calls took, those without marks too; None for a person, and where version 0.1.0 kept it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Kind
    place: str = ""
    rating: Rating
    unread: dict[int, str] = {}
    usage: Usage | None = None

    @property
    def identity(self) -> tuple[str, Kind, str]:
        """Of `identify`: one rater rates a set once."""
        return identify(self.rating.set, self.kind, self.rating.rater)

    @property
    def file(self) -> str:
        """The name of the file that the run keeps it in; it tells nobody's name."""
        return f"{self.rating.set}-{sha256(json.dumps(self.identity))[:12]}.json"


def identify(of_set: str, kind: Kind, rater: str) -> tuple[str, Kind, str]:
    """Who rates which set: the set, the kind, and the name without case and spacing."""
    return of_set, kind, " ".join(rater.split()).casefold()


def read_rating(text: str, path: Path) -> Rating:
    """The rating in the text of a file; `path` is what errors name.

    Raises:
        ContentError: it is not JSON, or a field is missing, unknown or wrong; the question and answer are named.
    """
    data = read_object(text, path)
    try:
        return Rating.model_validate(data)
    except ValidationError as error:
        raise ContentError(path, explain(error, data)) from error


def read_object(text: str, path: Path) -> Any:
    """The JSON of a file.

    Raises:
        ContentError: it is not JSON, or a key of it stands twice.
    """
    try:
        return json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise ContentError(path, f"is not valid JSON: {error}") from error


def explain(error: ValidationError, data: Any) -> str:
    """The first fault of a rating file: one line that names question and answer where it can."""
    wrong = first_invalid(error)
    place, where = wrong.place, wrong.field
    if place[:1] == ("ratings",) and len(place) > 1 and isinstance(place[1], int):
        row = data["ratings"][place[1]]
        named = isinstance(row, dict) and {"question", "letter"} <= row.keys()
        which = _at((row["question"], row["letter"])) if named else f"rating {place[1] + 1}"
        where = ", ".join([which, *map(str, place[2:])])
    return f"{where}: {wrong.problem}" if where else wrong.problem


def check_whole(rating: Rating, key: Key, path: Path, questions: Sequence[int] | None = None) -> None:
    """Whether a rating rates every answer of its set once, or of these questions of it.

    Raises:
        ContentError: an answer is missing, stands twice, or is none of the set's.
    """
    wanted = [
        (each.number, letter)
        for each in key.questions
        if questions is None or each.number in questions
        for letter in each.letters
    ]
    found = Counter((each.question, each.letter) for each in rating.ratings)
    for place, times in found.items():
        if place not in wanted:
            raise ContentError(path, f"{_at(place)}: set {key.set} has no such answer")
        if times > 1:
            raise ContentError(path, f"{_at(place)}: rated {times} times")
    missing = [place for place in wanted if place not in found]
    if missing:
        more = f", and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ContentError(path, f"{_at(missing[0])} is not rated{more}; every answer of the set must be")


def find_key(keys: Mapping[str, Key], rating: Rating, path: Path) -> Key:
    """The key of the set that a rating is of.

    Raises:
        ContentError: this run handed out no such set.
    """
    if rating.set not in keys:
        there = ", ".join(keys) or "none"
        raise ContentError(path, f"rates set {rating.set[:40]!r}, which is not of this run (its sets: {there})")
    return keys[rating.set]


def _at(place: tuple[object, object]) -> str:
    return "question {}, answer {}".format(*(" ".join(str(part).split())[:10] for part in place))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON keeps the last of two equal keys in silence."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found
