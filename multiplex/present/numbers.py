"""Figures as text."""

from __future__ import annotations

NONE = "–"


def number(value: float | None, form: str, unit: str = "") -> str:
    """A figure in a format of Python's, with its unit; a dash where it does not exist."""
    return NONE if value is None else f"{value:{form}}{unit}".replace("-", "−")
