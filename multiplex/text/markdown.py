"""Markdown that holds foreign text."""

from __future__ import annotations

_MARKUP = frozenset("\\`*_{}[]<>#|~&")


def escape_markdown(text: str) -> str:
    """A foreign text as one line of literal Markdown, in a table's cell too."""
    return "".join(f"\\{c}" if c in _MARKUP else c for c in " ".join(text.split()))
