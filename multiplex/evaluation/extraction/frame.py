"""The perspectives that are known, and the frame that a measurement counts over by default."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from multiplex.errors import UsageError

Perspective = Literal[
    "western",
    "islamic",
    "east_asian",
    "south_asian",
    "african",
    "latin_american",
    "indigenous",
    "southeast_asian",
    "eastern_european",
    "jewish",
    "christian",
    "secular",
]
Cue = Literal["named", "concept", "place", "implied"]

KNOWN: tuple[str, ...] = get_args(Perspective)
FRAME: tuple[str, ...] = KNOWN[:7]
CUES: tuple[str, ...] = get_args(Cue)
HEADLINE_CUES: tuple[str, ...] = ("named", "concept")


def checked_frame(frame: Sequence[str]) -> tuple[str, ...]:
    """The frame as a tuple, in the caller's order.

    Raises:
        UsageError: it names an unknown perspective, names one twice, or holds fewer than two
            (a spread over one perspective has no meaning: ln K is 0).
    """
    return _checked(frame, KNOWN, "frame", "perspective", least=2)


def checked_cues(cues: Sequence[str]) -> tuple[str, ...]:
    """The cues as a tuple.

    Raises:
        UsageError: it names an unknown cue, names one twice, or is empty.
    """
    return _checked(cues, CUES, "cues", "cue", least=1)


def _checked(names: Sequence[str], known: tuple[str, ...], what: str, one: str, *, least: int) -> tuple[str, ...]:
    chosen = (names,) if isinstance(names, str) else tuple(names)
    for name in chosen:
        if name not in known:
            raise UsageError(f"{what}: unknown {one} {name!r}; choose from {', '.join(known)}")
        if chosen.count(name) > 1:
            raise UsageError(f"{what}: {one} {name!r} is named twice; name it once")
    if len(chosen) < least:
        raise UsageError(f"{what}: {len(chosen)} named; name at least {least} of {', '.join(known)}")
    return chosen
