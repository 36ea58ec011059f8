"""One recorded seed, from which every call and every order takes its own."""

from __future__ import annotations

from multiplex.content import sha256


def call_seed(seed: int, *parts: object) -> int:
    """A call's own seed in 0..2^31-1, fixed by the run's seed and what the call is for."""
    return int(sha256(" ".join(map(str, (seed, *parts))))[:8], 16) % 2**31
