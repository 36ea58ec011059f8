"""The same texts under several frames, side by side, and where the outcome depends on the frame."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from multiplex.evaluation.measures import Measures


class FrameFigure(NamedTuple):
    """References of a frame, and their entropy in percent; None where there is none."""

    references: int
    entropy: float | None


By = Mapping[str, Mapping[str, FrameFigure]]
"""By frame, then by what is compared (strategies, groups)."""


def rows(figures: By, things: Sequence[str]) -> list[tuple[str, list[str]]]:
    """A row a frame: its name, then entropy and references of each thing; a dash for one that was not measured."""
    return [(name, [_cell(of.get(thing)) for thing in things]) for name, of in figures.items()]


def dependence(figures: By) -> list[str]:
    """In words, which pairs change places under another frame, and what one frame sees and another does not."""
    lines = []
    things = list(dict.fromkeys(thing for of in figures.values() for thing in of))
    for first, second in itertools.combinations(things, 2):
        signs = {name: _sign(of.get(first), of.get(second)) for name, of in figures.items()}
        places = {sign: ", ".join(name for name, found in signs.items() if found == sign) for sign in (1, -1, 0)}
        if sum(bool(names) for names in places.values()) > 1:
            said = ((first, places[1]), (second, places[-1]), ("neither", places[0]))
            lines.append(
                f"It depends on the frame whether {first} or {second} spreads more widely: "
                + "; ".join(f"{who} under {names}" for who, names in said if names)
                + "."
            )
    for thing in things:
        counts = {name: of[thing].references for name, of in figures.items() if thing in of}
        none, some = [n for n, c in counts.items() if not c], [f"{c:,} under {n}" for n, c in counts.items() if c]
        if none and some:
            lines.append(f"{thing} has no reference under {', '.join(none)}, and {', '.join(some)}.")
    return lines


def _sign(first: FrameFigure | None, second: FrameFigure | None) -> int | None:
    """Which entropy is the larger, as printed; None where one does not exist."""
    if first is None or second is None or first.entropy is None or second.entropy is None:
        return None
    one, other = round(first.entropy, 1), round(second.entropy, 1)
    return (one > other) - (one < other)


def _cell(each: FrameFigure | None) -> str:
    return "–" if each is None else f"{'–' if each.entropy is None else f'{each.entropy:.1f}%'} ({each.references:,})"


def of_measures(measures: Measures) -> dict[str, FrameFigure]:
    """One text's figure under each of its frames, the main one first."""
    main = {measures.frame_name: FrameFigure(measures.n, measures.entropy)}
    return main | {each.frame_name: FrameFigure(each.n, each.entropy) for each in measures.beside}


class SpreadTally:
    """Adds texts up by group and frame: their references, and the mean entropy of those that have one."""

    def __init__(self) -> None:
        self._sums: dict[str, dict[str, tuple[int, int, float]]] = {}
        self._only: Counter[tuple[str, str]] = Counter()
        self._texts = 0
        self._groups: set[str] = set()

    def add(self, group: str, measures: Measures) -> None:
        """Take in one text."""
        found = of_measures(measures)
        self._texts += 1
        self._groups.add(group)
        for name, each in found.items():
            of = self._sums.setdefault(name, {})
            n, referring, total = of.get(group, (0, 0, 0.0))
            of[group] = (n + each.references, referring + (each.entropy is not None), total + (each.entropy or 0.0))
        for none, some in itertools.permutations(found, 2):
            self._only[none, some] += found[none].references == 0 < found[some].references

    @property
    def figures(self) -> By:
        """By frame and group; empty where there was one frame only."""
        if len(self._sums) < 2:
            return {}
        return {
            name: {group: FrameFigure(n, total / with_ if with_ else None) for group, (n, with_, total) in of.items()}
            for name, of in self._sums.items()
        }

    def label(self, group: str) -> str:
        """A group as a reader sees it: texts may have an empty value where others have one."""
        alone = len(self._groups) == 1
        return group or ("all texts" if alone else "the empty group")

    def lines(self) -> list[str]:
        """Where the outcome depends on the frame, in words."""
        named = {name: {self.label(group): each for group, each in of.items()} for name, of in self.figures.items()}
        compared = dependence(named) if len(self._groups) > 1 else []  # of all texts together `seen` says the same
        seen = [
            f"{count:,} of {self._texts:,} texts have no reference under {none} and some under {some}."
            for (none, some), count in self._only.items()
            if count
        ]
        return [*compared, *seen] if self.figures else []
