"""Practices that harm people: one list for all personas, and who contests each inside every tradition."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from multiplex.content import content_root, read_model
from multiplex.errors import ContentError

if TYPE_CHECKING:
    from multiplex.council.personas import Persona

FILE = "harms.yaml"
_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Harm(BaseModel):
    """A practice that harms people, and the terms by which a text touches it.

    Attributes:
        terms: matched as whole words, whatever the case.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
    description: _Text
    terms: Annotated[tuple[_Text, ...], Field(min_length=1)]

    def is_touched(self, folded: str) -> bool:
        """Whether a case-folded text holds one of the terms."""
        return any(
            term in folded and re.search(rf"(?<!\w){re.escape(term)}(?!\w)", folded)
            for term in map(str.casefold, self.terms)
        )


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    harms: Annotated[tuple[Harm, ...], Field(min_length=1)]


class Contest(BaseModel):
    """Who contests a harm inside one tradition, with the source; `source` is empty where a persona names none."""

    model_config = ConfigDict(frozen=True)

    perspective: str
    title: str
    by: str
    argues: str
    source: str


class Touched(BaseModel):
    """A harm that a text touches, with everyone on record who contests it, in the council's order."""

    model_config = ConfigDict(frozen=True)

    description: str
    contests: tuple[Contest, ...]


@cache
def load_harms(path: Path | None = None) -> tuple[Harm, ...]:
    """The list of harms: agents/harms.yaml, or another file of its form.

    Raises:
        ContentError: the file is wrong, an id stands twice, or a term belongs to two harms.
    """
    path = path or content_root() / "agents" / FILE
    harms = read_model(path, _File).harms
    owners: dict[str, str] = {}
    for harm in harms:
        for key in (harm.id, *map(str.casefold, harm.terms)):
            if owners.setdefault(key, harm.id) != harm.id:
                raise ContentError(path, f"{key!r} stands already under {owners[key]!r}", field=harm.id)
    if len({harm.id for harm in harms}) < len(harms):
        raise ContentError(path, "an id stands twice", field="harms")
    return harms


def find_harms(texts: Iterable[str], personas: Sequence[Persona]) -> tuple[Touched, ...]:
    """The harms that any of the texts touches, each with every persona that has an entry for it.

    A harm that no persona has an entry for is left out. Practices that a persona lists for itself (`contested`)
    count as harms of their own.
    """
    folded = "\n".join(texts).casefold()
    found = []
    for harm in load_harms():
        if harm.is_touched(folded):
            contests = {
                entry: Contest(
                    perspective=persona.perspective,
                    title=persona.title,
                    by=entry.by,
                    argues=entry.argues,
                    source=str(entry.source),
                )
                for persona in reversed(personas)
                for entry in persona.harms
                if entry.harm == harm.id
            }  # a persona that sits there several times is named once
            found.append(Touched(description=harm.description, contests=tuple(reversed(contests.values()))))
    for persona in personas:
        for own in persona.contested:
            if Harm(id="own", description=own.practice, terms=own.terms).is_touched(folded):
                contest = Contest(
                    perspective=persona.perspective, title=persona.title, by=own.by, argues=own.practice, source=""
                )
                found.append(Touched(description=own.practice, contests=(contest,)))
    return tuple(each for each in found if each.contests)


def describe_harms(touched: Sequence[Touched]) -> str:
    """The harms as lines for a prompt: each practice, then a line for each tradition."""
    return "\n".join(
        f"{each.description}:\n"
        + "\n".join(f"- {c.title}: {c.by}. {c.argues}" + (f" [{c.source}]" if c.source else "") for c in each.contests)
        for each in touched
    )
