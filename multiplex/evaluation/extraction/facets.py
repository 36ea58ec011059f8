"""What an entity is, apart from any frame: its regions, its religions or worldviews, and its people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

Axis = Literal["region", "religion", "people"]
Region = Literal[
    "western",
    "eastern_european",
    "middle_eastern",
    "african",
    "south_asian",
    "southeast_asian",
    "east_asian",
    "latin_american",
    "north_american",
    "oceanian",
    "asian",
]
Religion = Literal[
    "islam",
    "christianity",
    "judaism",
    "hinduism",
    "buddhism",
    "confucian_daoist",
    "sikh_jain",
    "indigenous_religions",
    "secular",
]
People = Literal["indigenous", "jewish"]

AXES: tuple[Axis, ...] = get_args(Axis)


@dataclass(frozen=True, slots=True)
class Facets:
    """An entity's facets; on each axis the first value is the one it belongs to before the others.

    `western` as a region is the West at large with western Europe; `north_american` and `oceanian` are the rest of it
    that can be placed, and the peoples who were there before it. `middle_eastern` includes North Africa and Central
    Asia. `asian` is Asia without saying where.
    """

    region: tuple[Region, ...] = ()
    religion: tuple[Religion, ...] = ()
    people: tuple[People, ...] = ()

    def meet(self, other: Facets) -> bool:
        """Whether the two share a region, a religion or a people."""
        return any(set(getattr(self, axis)) & set(getattr(other, axis)) for axis in AXES)


NO_FACETS = Facets()
OF_PERSPECTIVE: Mapping[str, Facets] = MappingProxyType(
    {
        "western": Facets(region=("western",)),
        "islamic": Facets(religion=("islam",)),
        "east_asian": Facets(region=("east_asian",)),
        "south_asian": Facets(region=("south_asian",)),
        "african": Facets(region=("african",)),
        "latin_american": Facets(region=("latin_american",)),
        "indigenous": Facets(people=("indigenous",)),
        "southeast_asian": Facets(region=("southeast_asian",)),
        "eastern_european": Facets(region=("eastern_european",)),
        "jewish": Facets(religion=("judaism",), people=("jewish",)),
        "christian": Facets(religion=("christianity",)),
        "secular": Facets(religion=("secular",)),
    }
)
"""The facets of a gazetteer file's entries, unless they say otherwise, and of what only a model found."""
