"""Which harms a text touches, and who contests each inside every tradition that has an entry for it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache

from pydantic import BaseModel, ConfigDict

from multiplex.council.harms import Harm, load_harms
from multiplex.council.personas import Persona

_WORD = re.compile(r"\w+")


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
def _terms() -> dict[str, list[tuple[Harm, str]]]:
    """By its first word, every term of the list in lower case with its harm."""
    terms: dict[str, list[tuple[Harm, str]]] = {}
    for harm in load_harms():
        for term in map(str.casefold, harm.terms):
            terms.setdefault(_WORD.findall(term)[0], []).append((harm, term))
    return terms


def _holds(folded: str, term: str) -> bool:
    return term in folded and re.search(rf"(?<!\w){re.escape(term)}(?!\w)", folded) is not None


def find_harms(texts: Iterable[str], personas: Sequence[Persona]) -> tuple[Touched, ...]:
    """The harms that any of the texts touches, each with every persona that has an entry for it.

    A harm that no persona has an entry for is left out. Practices that a persona lists for itself (`contested`)
    count as harms of their own.
    """
    folded = "\n".join(texts).casefold()
    words = set(_WORD.findall(folded))
    touched = {harm.id for first in _terms().keys() & words for harm, term in _terms()[first] if _holds(folded, term)}
    found = []
    for harm in load_harms():
        if harm.id in touched:
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
            if any(_holds(folded, term.casefold()) for term in own.terms):
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
