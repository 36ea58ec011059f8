"""How properties are checked: few examples, the same ones every time, so that a run tells of the code alone."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings


def examples(most: int) -> Any:
    """A decorator: at most so many examples of a property."""
    checks = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    return settings(max_examples=most, deadline=None, derandomize=True, database=None, suppress_health_check=checks)
