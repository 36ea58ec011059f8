"""Reads eval/atlas.yaml and eval/cities.yaml: which places lie where, as far as a perspective goes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, RootModel, StringConstraints

from multiplex.content import content_root, read_model
from multiplex.errors import ContentError
from multiplex.evaluation.extraction.facets import Facets, People, Region
from multiplex.text.tokens import plain

_Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=2)]
_Code = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
_SHORT = 4  # letters up to which a city's name is as likely to be something else


class _Atlas(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    countries: dict[Region, tuple[_Code, ...]]
    indigenous: tuple[_Code, ...]
    regions: dict[_Code, tuple[_Name, ...]]
    homonyms: tuple[_Name, ...]
    left_out: tuple[_Name, ...]


class _Cities(RootModel[dict[_Code, Annotated[tuple[_Name, ...], Field(min_length=1)]]]):
    model_config = ConfigDict(frozen=True)


@dataclass(frozen=True, slots=True)
class Place:
    """A region or city: its name, its country's ISO 3166 code, the facets of its country.

    A homonym is also the name of something else, and so a place only after a preposition of place.
    """

    name: str
    country: str
    facets: Facets
    homonym: bool

    @property
    def id(self) -> str:
        """The entity's id: `city_ng_lagos`."""
        letters = "".join(letter if letter.isalnum() else " " for letter in plain(self.name).lower())
        return "_".join(("city", self.country.lower(), *letters.split()))


def places(folder: Path | None = None) -> Iterator[Place]:
    """The regions and cities of an atlas in the order of its files; by default the one that ships, eval/.

    Raises:
        ContentError: a file is absent or not of the schema, or a country is used that is in no region or in two.
    """
    folder = folder if folder is not None else content_root() / "eval"
    atlas = read_model(folder / "atlas.yaml", _Atlas)
    cities = read_model(folder / "cities.yaml", _Cities).root
    home = _homes(folder / "atlas.yaml", atlas)
    homonyms, left_out = frozenset(atlas.homonyms), frozenset(atlas.left_out)
    for name, by_country in (("atlas.yaml", atlas.regions), ("cities.yaml", cities)):
        for country, names in by_country.items():
            if country not in home:
                raise ContentError(folder / name, f"{country!r} is in no region of atlas.yaml", field=country)
            for one in names:
                if one not in left_out:
                    yield Place(one, country, home[country], one in homonyms or len(one) <= _SHORT)


def country_homes(folder: Path | None = None) -> dict[str, Facets]:
    """From an ISO 3166 code to the facets of the country; a country of none is absent.

    Raises:
        ContentError: as `places`.
    """
    path = (folder if folder is not None else content_root() / "eval") / "atlas.yaml"
    return _homes(path, read_model(path, _Atlas))


def _homes(path: Path, atlas: _Atlas) -> dict[str, Facets]:
    """From a country's code to its facets; in some the people of the land are its Indigenous people."""
    home: dict[str, Facets] = {}
    for region, codes in atlas.countries.items():
        for code in codes:
            if code in home:
                raise ContentError(path, f"{code!r} stands twice", field=f"countries.{region}")
            people: tuple[People, ...] = ("indigenous",) if code in atlas.indigenous else ()
            home[code] = Facets(region=(region,), people=people)
    for code in atlas.indigenous:
        if code not in home:
            raise ContentError(path, f"{code!r} is in no region", field="indigenous")
    return home
