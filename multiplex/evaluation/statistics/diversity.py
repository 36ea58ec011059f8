"""The numbers that a distribution of references over perspectives is read by: small pure functions.

`counts` maps every perspective of the frame to its references c_k (or to presences, or to words);
K is how many perspectives it holds, n their sum. A figure that does not exist is None, never 0 or
NaN: an answer without a reference has no entropy. Entropy, share and effective number follow
WorldView-Bench (arXiv 2505.09595), section on the Perspectives Distribution Score; E[S_m] is
Hurlbert's rarefaction (Ecology 52, 1971).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from multiplex.errors import UsageError

Counts = Mapping[str, float]


def shares(counts: Counts) -> dict[str, float]:
    """PDS_k = c_k / n for every perspective, in 0..1; all 0.0 where n = 0.

    Raises:
        UsageError: `counts` is not a distribution (fewer than two perspectives, or a count that is
            negative or not finite). So do all functions here.
    """
    total = _total(counts)
    return {name: value / total if total else 0.0 for name, value in counts.items()}


def entropy_percent(counts: Counts) -> float | None:
    """H = -sum_k PDS_k ln PDS_k / ln K * 100, in 0..100; None where n = 0.

    100 is a uniform spread over the frame, which is a convention and not an ideal.
    """
    if not _total(counts):
        return None
    nats = -math.fsum(share * math.log(share) for share in shares(counts).values() if share)
    return min(100.0, max(0.0, 100.0 * nats / math.log(len(counts))))


def hill_number(counts: Counts) -> float | None:
    """exp(H ln K), H in 0..1: how many equally invoked perspectives spread as widely, 1..K; None where n = 0."""
    entropy = entropy_percent(counts)
    return None if entropy is None else math.exp(entropy / 100.0 * math.log(len(counts)))


def excluded(counts: Counts) -> float:
    """The share of the frame that is never invoked, #{k: c_k = 0} / K, in 0..1; 1.0 where n = 0."""
    _total(counts)
    return sum(1 for value in counts.values() if value == 0) / len(counts)


def berger_parker(counts: Counts) -> float | None:
    """The largest share, max_k PDS_k, in 1/K..1; None where n = 0."""
    return max(shares(counts).values()) if _total(counts) else None


def expected_perspectives(counts: Mapping[str, int], m: int = 5) -> float | None:
    """E[S_m] = sum_k (1 - C(n - c_k, m) / C(n, m)): how many perspectives m references would show.

    The m are drawn from the n without return. It compares answers of unequal length, since few
    references bias H downward. None where n < m.

    Raises:
        UsageError: m < 1, or a count is not a whole number.
    """
    if m < 1:
        raise UsageError(f"expected_perspectives: m is {m}; it must be at least 1")
    _total(counts)
    for name, value in counts.items():
        if value != int(value):
            raise UsageError(f"expected_perspectives: {name!r} has {value}; whole references are needed")
    whole = [int(value) for value in counts.values()]
    total = sum(whole)
    if total < m:
        return None
    return sum(1.0 - math.comb(total - value, m) / math.comb(total, m) for value in whole)


def by_presence(counts: Counts) -> dict[str, int]:
    """Each perspective once, however often the answer refers to it: 1 where c_k > 0."""
    _total(counts)
    return {name: int(value > 0) for name, value in counts.items()}


def by_words(pairs: Iterable[tuple[int, str]], sentence_words: Sequence[int], frame: Sequence[str]) -> dict[str, float]:
    """Words of the referring sentences, each split evenly among the frame's perspectives it refers to.

    `pairs` are (sentence, perspective); `sentence_words[i]` is how many words sentence i has.
    """
    referred: dict[int, set[str]] = {}
    for sentence, perspective in pairs:
        if perspective in frame:
            referred.setdefault(sentence, set()).add(perspective)
    words = dict.fromkeys(frame, 0.0)
    for sentence, names in referred.items():
        for name in names:
            words[name] += sentence_words[sentence] / len(names)
    return words


def _total(counts: Counts) -> float:
    if len(counts) < 2:
        raise UsageError(f"a distribution needs at least two perspectives, not {len(counts)}")
    for name, value in counts.items():
        if not math.isfinite(value) or value < 0:
            raise UsageError(f"{name!r} has {value} references; a count is a finite number of at least 0")
    return math.fsum(counts.values())
