"""How close answers are to those of people: one question, or many, of one respondent and one country.

A distribution and a point answer (one chosen option) have measures of their own: an answer that names one option says
nothing of how many people would choose it, and is never scored as if it did.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise


def js_similarity(p: Sequence[float], q: Sequence[float]) -> float:
    """1 - the Jensen-Shannon distance of two distributions, base 2; 0 (nothing in common) to 1 (the same).

    The distance is the square root of the divergence (Endres and Schindelin, IEEE Trans. Inf. Theory 49, 2003):
    JSD^2 = H((p + q) / 2) - (H(p) + H(q)) / 2, in bits. Base e would give higher similarities for the same answers.
    """
    divergence = 0.0
    for a, b in zip(p, q, strict=True):
        half = (a + b) / 2
        divergence += sum(x * math.log2(x / half) for x in (a, b) if x > 0) / 2
    return 1 - math.sqrt(min(1.0, max(0.0, divergence)))


def transport_similarity(p: Sequence[float], q: Sequence[float], scale: Sequence[float]) -> float:
    """1 - W1 / (N - 1) of two distributions over ordered options, 0 (opposite ends) to 1 (the same).

    W1 is the distance by which shares must be moved, counted in steps from option to option (Vallender, Theory of
    Probability and its Applications 18, 1974): the area between the cumulative distributions. `scale` has the options'
    places, 0..1, so that W1 / (N - 1) is that area.
    """
    order = sorted(range(len(scale)), key=scale.__getitem__)
    area = difference = 0.0
    for here, following in pairwise(order):
        difference += p[here] - q[here]
        area += abs(difference) * (scale[following] - scale[here])
    return 1 - area


def total_variation(p: Sequence[float], q: Sequence[float]) -> float:
    """Half the sum of differences between two distributions, 0..1."""
    return math.fsum(abs(a - b) for a, b in zip(p, q, strict=True)) / 2


def uniform(options: int) -> tuple[float, ...]:
    """Equal shares of so many options."""
    return (1 / options,) * options


def skill(pairs: Sequence[tuple[Sequence[float], Sequence[float]]]) -> float | None:
    """S = 100 (1 - TV / TV of uniform) over (answer, people) pairs: 100 is people's own answer, 0 as uniform.

    Total variations are summed over questions before they are divided. It may be negative, down to where the answer is
    as wrong as it can be. None where people answer uniformly throughout, or there is no pair.
    """
    ours = math.fsum(total_variation(p, q) for p, q in pairs)
    theirs = math.fsum(total_variation(uniform(len(q)), q) for _, q in pairs)
    return 100 * (1 - ours / theirs) if theirs > 0 else None


def majority(shares: Sequence[float]) -> int:
    """The place of the largest share; of equal ones the first."""
    return max(range(len(shares)), key=lambda place: (shares[place], -place))


def option_distance(a: Mapping[str, int], b: Mapping[str, int], options: Mapping[str, int]) -> float | None:
    """The normalised Euclidean distance of two respondents' chosen options, 0..1 (arXiv 2606.05985).

    sqrt(sum_q (a_q - b_q)^2 / sum_q (N_q - 1)^2) over the questions that both answered, N_q being their `options`; by
    that paper's convention the number of an option counts as its place, also where options have no order. None where no
    question is answered by both.
    """
    both = [question for question in a if question in b]
    if not both:
        return None
    apart = math.fsum((a[question] - b[question]) ** 2 for question in both)
    return math.sqrt(apart / math.fsum((options[question] - 1) ** 2 for question in both))


def alignment(answers: Mapping[str, int], people: Mapping[str, int], options: Mapping[str, int]) -> float | None:
    """100 (1 - `option_distance`) of a respondent and a country's majority options, 0..100; None as there."""
    apart = option_distance(answers, people, options)
    return None if apart is None else 100 * (1 - apart)
