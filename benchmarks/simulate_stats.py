"""Intervals and tests of `multiplex/evaluation/resampling.py` on simulated benchmarks whose truth is known.

`python benchmarks/simulate_stats.py [SIMULATIONS]` prints, as Markdown, how often the 95% interval holds the truth and
how often the test calls a difference. A benchmark is 7 domains of 25 questions, or of the few that `--limit` leaves. An
answer has 0 to 20 references, as many as a beta-binomial draw says; they fall on 7 perspectives as a
Dirichlet-multinomial draw says, so that references of one answer resemble each other. With domain effects the domains
differ in their shares and in how many references their questions draw.
"""

from __future__ import annotations

import functools
import math
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))
from multiplex.evaluation.statistics import permutation, resampling, row_sums

DOMAINS, QUESTIONS, MOST = 7, 25, 20
LIMITS = (8, 10, 14, 21, 35)
SHARES = {
    "wide": (2, 1.6, 1.3, 1, 1, 0.8, 0.6),
    "tilted": (3, 1.6, 1.3, 1, 0.9, 0.6, 0.4),
    "skewed": (6, 2, 1, 1, 0.5, 0.5, 0.3),
    "narrow": (30, 1, 0.5, 0.3, 0.2, 0.2, 0.1),
}
FIGURES = {
    "macro": row_sums.MACRO,
    "macro0": row_sums.MACRO0,
    "micro": row_sums.MICRO,
    "share": row_sums.share(0),
}
RESAMPLES, PERMUTATIONS = 1000, 399
Array = NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """Where simulated answers come from, and what is true of them."""

    shares: str = "skewed"
    references: float = 6.0
    """Of an answer, on average."""
    concentration: float = 5.0
    """Of the Dirichlet draw: the lower, the more one answer's references resemble each other."""
    effects: bool = False
    limit: int = DOMAINS * QUESTIONS
    """Questions of the benchmark, given to the domains in turn."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The domain of each question."""
        return tuple(np.array([str(domain) for domain in range(DOMAINS)]).repeat(self._many).tolist())

    @property
    def _many(self) -> NDArray[np.intp]:
        return np.array([len(range(domain, self.limit, DOMAINS)) for domain in range(DOMAINS)])

    @functools.cached_property
    def _domains(self) -> tuple[Array, Array]:
        """The domains' shares, shape (7, 7), and their mean references, shape (7,)."""
        shares = np.array(SHARES[self.shares]) / sum(SHARES[self.shares])
        if not self.effects:
            return np.tile(shares, (DOMAINS, 1)), np.full(DOMAINS, self.references)
        slopes = np.linspace(0.6, 1.4, DOMAINS)
        return np.random.default_rng(99).dirichlet(5 * shares, DOMAINS), self.references * slopes

    def questions(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """What the questions of one benchmark call for: shares, shape (n, 7), and references, as a part of 20."""
        shares, references = (values.repeat(self._many, axis=0) for values in self._domains)
        drawn = rng.gamma(self.concentration * shares) + 1e-12
        part = references / MOST
        return drawn / drawn.sum(axis=1, keepdims=True), rng.beta(4 * part, 4 * (1 - part))

    def answers(self, rng: np.random.Generator, asked: tuple[Array, Array] | None = None) -> Array:
        """The rows of one answer to every question: of the questions `asked`, or of new ones."""
        shares, part = asked or self.questions(rng)
        return row_sums.answer_rows(rng.multinomial(rng.binomial(MOST, part), shares).astype(np.float64))

    def truth(self, figure: str) -> float:
        """The figure of the whole population: in closed form, or for the means from 175,000 answers."""
        sums = self._means if figure in ("macro", "macro0") else self._expected
        return float(FIGURES[figure].statistic(sums[None])[0])

    @functools.cached_property
    def _expected(self) -> Array:
        shares, references = self._domains
        return np.append((self._many * references) @ shares, np.zeros(4))

    @functools.cached_property
    def _means(self) -> Array:
        rng, whole = np.random.default_rng(12345), replace(self, limit=DOMAINS * QUESTIONS)
        drawn = np.sum([whole.answers(rng) for _ in range(1000)], axis=0)
        return self._many @ drawn.reshape(DOMAINS, QUESTIONS, -1).sum(axis=1)


def holds(estimate: resampling.Estimate, truth: float) -> float:
    """Whether the interval holds the truth; NaN where there is none."""
    around = estimate.interval
    return math.nan if around is None else float(around.low <= truth <= around.high)


def covered(world: World, figures: dict[str, row_sums.Figure], simulations: int, resamples: int, seed: int) -> Array:
    """How often the interval of every figure holds the truth, 0..1; NaN where it had none."""
    rng, hits = np.random.default_rng(seed), []
    for number in range(simulations):
        strata = row_sums.by_stratum(world.answers(rng), world.labels)
        found = resampling.bootstrap(strata, figures, resamples=resamples, seed=number)
        hits.append([holds(found[name], world.truth(name)) for name in figures])
    return _mean(hits)


def difference_covered(
    a: World, b: World, figures: dict[str, row_sums.Figure], simulations: int, resamples: int, seed: int
) -> Array:
    """The same for the paired difference of two arms, whose answers to a question are long or short together.

    The true difference of `macro`, whose pairs must both have an entropy, is known only where the arms are one world.
    """
    rng, hits = np.random.default_rng(seed), []
    truths = {name: 0.0 if a == b else a.truth(name) - b.truth(name) for name in figures}
    for number in range(simulations):
        first, second = _arms(rng, a, b)
        found = resampling.paired_bootstrap(first, second, figures, a.labels, resamples=resamples, seed=number)
        hits.append([holds(found.differences[name], truths[name]) for name in figures])
    return _mean(hits)


def _mean(hits: list[list[float]]) -> Array:
    """The means of the columns over what is there: a benchmark without a figure's interval counts for no side."""
    table = np.array(hits)
    there = ~np.isnan(table)
    sums = np.where(there, table, 0.0).sum(axis=0)
    return np.divide(sums, there.sum(axis=0), out=np.full(len(sums), np.nan), where=there.any(axis=0))


def rejected(a: World, b: World, figures: dict[str, row_sums.Figure], simulations: int, seed: int) -> Array:
    """How often the permutation test calls a difference at 5%, 0..1."""
    rng, hits = np.random.default_rng(seed), []
    for number in range(simulations):
        p = permutation.permutation(*_arms(rng, a, b), figures, permutations=PERMUTATIONS, seed=number)
        hits.append([(p[name] or 1.0) <= 0.05 for name in figures])
    return np.mean(hits, axis=0)


def _arms(rng: np.random.Generator, a: World, b: World) -> tuple[Array, Array]:
    """Both arms' rows over the same questions; arms of one world draw from the same shares too."""
    asked = a.questions(rng)
    if a == b:
        return a.answers(rng, asked), b.answers(rng, asked)
    shares, _ = b.questions(rng)
    return a.answers(rng, asked), b.answers(rng, (shares, asked[1] * b.references / a.references))


def _row(*cells: object) -> None:
    shown = [f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in cells]
    print("| " + " | ".join(shown) + " |", flush=True)


def _said(effects: bool) -> str:
    return "yes" if effects else "no"


def _head(*cells: str) -> None:
    _row(*cells)
    print("|" + "---|" * len(cells))


def main(simulations: int) -> None:
    """Print the tables."""
    began = time.perf_counter()
    names = [*FIGURES]
    print(f"{simulations:,} simulated benchmarks a row, {RESAMPLES:,} resamples, {PERMUTATIONS} permutations.\n")
    print("How often the 95% interval holds the truth, one arm:\n")
    _head("shares", "references", "concentration", "domain effects", "true micro H", *names)
    for shares in ("wide", "skewed", "narrow"):
        for references, concentration in ((6.0, 5.0), (6.0, 20.0), (3.0, 5.0)):
            for effects in (False, True):
                world = World(shares, references, concentration, effects)
                cover = covered(world, FIGURES, simulations, RESAMPLES, 1)
                _row(
                    shares,
                    f"{references:g}",
                    f"{concentration:g}",
                    _said(effects),
                    f"{world.truth('micro'):.1f}",
                    *map(float, cover),
                )
    print("\nThe same for small benchmarks, one arm and the paired difference of two of one world:\n")
    _head("questions", "shares", "domain effects", *names, *(f"difference in {name}" for name in names))
    for limit in LIMITS:
        for shares in ("wide", "skewed"):
            for effects in (False, True):
                world = World(shares, effects=effects, limit=limit)
                one = covered(world, FIGURES, simulations, RESAMPLES, 4)
                two = difference_covered(world, world, FIGURES, simulations, RESAMPLES, 5)
                _row(limit, shares, _said(effects), *map(float, one), *map(float, two))
    print("\nThe same for the paired difference of two arms:\n")
    _head("a", "b", "domain effects", *names)
    for effects in (False, True):
        for a, b in (("wide", "wide"), ("skewed", "skewed"), ("narrow", "narrow"), ("wide", "narrow")):
            first, second = World(a, effects=effects), World(b, effects=effects)
            figures = FIGURES if a == b else {name: FIGURES[name] for name in names if name != "macro"}
            cover = difference_covered(first, second, figures, simulations, RESAMPLES, 2)
            shown = dict(zip(figures, map(float, cover), strict=True))
            _row(a, b, _said(effects), *(shown.get(name, "-") for name in names))
    print("\nHow often the permutation test calls a difference at 5%:\n")
    _head("a", "b", "domain effects", "the difference", *names)
    for effects in (False, True):
        for a, b, what in (
            (World("wide"), World("wide"), "none"),
            (World("skewed"), World("skewed"), "none"),
            (World("narrow"), World("narrow"), "none"),
            (World("skewed"), World("skewed", 3.0), "half the references, same shares"),
            (World("wide"), World("tilted"), "shares, a little"),
            (World("wide"), World("skewed"), "shares, widely"),
        ):
            a, b = replace(a, effects=effects), replace(b, effects=effects)
            _row(a.shares, b.shares, _said(effects), what, *map(float, rejected(a, b, FIGURES, simulations, 3)))
    print(f"\nTook {time.perf_counter() - began:.0f} s.")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
