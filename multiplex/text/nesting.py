"""Finds where JSON is nested too deeply to be read."""

from __future__ import annotations

import re

DEEP = 100  # brackets within brackets; Python's reader gives up at some hundreds, which no table of texts has
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]')


def find_deep_line(text: str) -> int:
    """The line, from 1, on which JSON first stands more than `DEEP` brackets deep; 1 where it never does."""
    depth = 0
    for token in _TOKEN.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token[0], 0)
        if depth > DEEP:
            return text.count("\n", 0, token.start()) + 1
    return 1
