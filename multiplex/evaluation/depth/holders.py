"""Finds who holds a view in a clause: a person, people, school or text that it names."""

from __future__ import annotations

import re
from bisect import bisect_right

from multiplex.evaluation.depth.clauses import Clause
from multiplex.evaluation.depth.words import DepthWords

_CAPITAL = r"(?:al-|el-|[dDlLpO]['’])?[^\W\d_a-zà-öø-ÿ][\w'’-]*"
_NAME = re.compile(rf"(?<![\w'’-]){_CAPITAL}(?:\s+(?:(?:of|de|da|do|di|du|la|bin|bint|ibn|van|von)\s+)*{_CAPITAL})*")


def find_holders(clause: Clause, words: DepthWords) -> dict[str, frozenset[str]]:
    """By perspective, the holders that a clause names: gazetteer ids, and names that it does not know after a "~".

    A holder is a people, tradition or school with the cue `named` that is no mere label; a concept written as a proper
    name ("Wiredu", "the Great Law of Peace", not "zakat"); or another name that says something ("Mawil Izzi Dien
    adds"), which belongs to the perspective named last before it or, with none, to that of the clause.
    """
    found: dict[str, set[str]] = {}
    for each in clause.counted:
        if not words.is_label(each.text, each.perspective) and (
            each.cue == "named" or _is_proper(clause, each.start, each.end, words)
        ):
            found.setdefault(each.perspective, set()).add(each.entity)
    taken = _letters(clause)
    counted = sorted(clause.counted, key=lambda each: each.end)
    ends = [each.end - clause.start for each in counted]
    for match in _NAME.finditer(clause.text):
        name = match.group()
        if not taken.isdisjoint(range(*match.span())):
            continue
        if name.lower() in words.unnamed or not words.says.match(clause.text, match.end()):
            continue
        before = bisect_right(ends, match.start())
        for perspective in (counted[before - 1].perspective,) if before else clause.about:
            found.setdefault(perspective, set()).add("~" + name.split()[-1].lower())
    return {name: frozenset(holders) for name, holders in found.items()}


def _letters(clause: Clause) -> set[int]:
    """Where in the clause its references stand."""
    spans = ((each.start - clause.start, each.end - clause.start) for each in clause.references)
    return {place for start, end in spans for place in range(start, end)}


def _is_proper(clause: Clause, start: int, end: int, words: DepthWords) -> bool:
    """Whether a concept is written as a name; a single word that begins a clause only where it says something."""
    text = clause.text[start - clause.start : end - clause.start].lstrip("*_\"'“‘")
    if not re.match(_CAPITAL, text):
        return False
    if re.search(r"\w", clause.text[: start - clause.start]):
        return True
    rest = text.split()[1:]
    return any(re.match(_CAPITAL, word) for word in rest) or bool(words.says.match(clause.text, end - clause.start))
