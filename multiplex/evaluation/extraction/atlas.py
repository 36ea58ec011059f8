"""Reads eval/atlas.yaml and eval/cities.yaml: which places lie where, as far as a perspective goes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, RootModel, StringConstraints

from multiplex.content import content_root, read_model
from multiplex.errors import ContentError
from multiplex.evaluation.extraction.frame import KNOWN
from multiplex.text.tokens import plain

_Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=2)]
_Code = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
_SHORT = 4  # letters up to which a city's name is as likely to be something else


class _Atlas(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    perspectives: dict[str, tuple[_Code, ...]]
    regions: dict[_Code, tuple[_Name, ...]]
    homonyms: tuple[_Name, ...]
    left_out: tuple[_Name, ...]


class _Cities(RootModel[dict[_Code, Annotated[tuple[_Name, ...], Field(min_length=1)]]]):
    model_config = ConfigDict(frozen=True)


@dataclass(frozen=True, slots=True)
class Place:
    """A region or city: its name, its country's ISO 3166 code, the perspectives that its country belongs to.

    A homonym is also the name of something else, and so a place only after a preposition of place.
    """

    name: str
    country: str
    perspectives: tuple[str, ...]
    homonym: bool

    @property
    def id(self) -> str:
        """The entity's id: `city_ng_lagos`."""
        letters = "".join(letter if letter.isalnum() else " " for letter in plain(self.name).lower())
        return "_".join(("city", self.country.lower(), *letters.split()))


def places(folder: Path | None = None) -> Iterator[Place]:
    """The regions and cities of an atlas in the order of its files; by default the one that ships, eval/.

    Raises:
        ContentError: a file is absent or not of the schema, a perspective is unknown, or a country
            is used that has none or has two.
    """
    folder = folder if folder is not None else content_root() / "eval"
    atlas = read_model(folder / "atlas.yaml", _Atlas)
    cities = read_model(folder / "cities.yaml", _Cities).root
    home = _homes(folder / "atlas.yaml", atlas)
    homonyms, left_out = frozenset(atlas.homonyms), frozenset(atlas.left_out)
    for name, by_country in (("atlas.yaml", atlas.regions), ("cities.yaml", cities)):
        for country, names in by_country.items():
            if country not in home:
                raise ContentError(folder / name, f"{country!r} has no perspective in atlas.yaml", field=country)
            for one in names:
                if one not in left_out:
                    yield Place(one, country, home[country], one in homonyms or len(one) <= _SHORT)


def country_homes(folder: Path | None = None) -> dict[str, tuple[str, ...]]:
    """From an ISO 3166 code to the perspectives that the country belongs to; a country of none is absent.

    Raises:
        ContentError: as `places`.
    """
    path = (folder if folder is not None else content_root() / "eval") / "atlas.yaml"
    return _homes(path, read_model(path, _Atlas))


def _homes(path: Path, atlas: _Atlas) -> dict[str, tuple[str, ...]]:
    """From a country's code to its perspectives; "islamic and african" names two."""
    home: dict[str, tuple[str, ...]] = {}
    for names, codes in atlas.perspectives.items():
        perspectives = tuple(names.split(" and "))
        for name in perspectives:
            if name not in KNOWN:
                raise ContentError(path, f"{name!r} is no perspective", field=f"perspectives.{names}")
        for code in codes:
            if code in home:
                raise ContentError(path, f"{code!r} stands twice", field=f"perspectives.{names}")
            home[code] = perspectives
    return home
