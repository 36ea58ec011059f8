"""Lists in messages: a few names, and how many more there are."""

from __future__ import annotations

from collections.abc import Sequence

TOLD = 5  # names that are told one by one


def listed(names: Sequence[str]) -> str:
    """The first five of some names, and how many more there are."""
    more = len(names) - TOLD
    return ", ".join(names[:TOLD]) + (f" and {more:,} more" if more > 0 else "")
