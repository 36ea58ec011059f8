"""Multiplex against every other strategy on the same questions, and the one claim that is made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from multiplex.bench.analysis.conditions import READINGS, Draws
from multiplex.bench.analysis.model import PRIMARY, Contrast, LeftOut, ReadingName, SuperiorityClaim, WeightingName
from multiplex.bench.analysis.observations import QuestionTable, paired
from multiplex.bench.plan.units import CONTROLS, STRATEGIES
from multiplex.evaluation.statistics import permutation, resampling, row_sums
from multiplex.evaluation.statistics.summary import estimate

MULTIPLEX = "multiplex"
RIVALS: tuple[str, ...] = tuple(strategy for strategy in STRATEGIES if strategy != MULTIPLEX)
TESTED: Mapping[WeightingName, tuple[ReadingName, ...]] = {
    "reference": ("macro", "macro0", "micro"),
    "presence": ("macro", "macro0", "micro"),
    "words": ("macro", "macro0", "micro"),
    "unprompted": ("macro", "macro0"),
}
Tables = Mapping[str, QuestionTable]
"""The measured conditions of one model by strategy."""


@dataclass(frozen=True)
class Test:
    """How contrasts are tested."""

    draws: Draws
    permutations: int
    alpha: float

    def beats(self, difference: float | None, p: float | None) -> bool:
        """Whether multiplex is above, by a two-sided test at alpha."""
        return difference is not None and difference > 0 and p is not None and p < self.alpha


def contrasts(model: str, tables: Tables, test: Test) -> list[Contrast]:
    """Every weighting and reading of multiplex minus each other strategy that has questions in common with it."""
    return [
        each
        for strategy, (own, other) in _pairs(tables).items()
        for weighting, readings in TESTED.items()
        for each in _contrasts(model, strategy, own, other, weighting, readings, test)
    ]


def left_out(model: str, tables: Tables, whole: Sequence[Contrast], test: Test) -> list[LeftOut]:
    """The primary contrasts without the questions of each domain in turn; empty where there are fewer than two."""
    made = []
    primary = {each.strategy: each for each in whole if each.primary and each.model == model}
    for strategy, (own, other) in _pairs(tables).items():
        domains = tuple(dict.fromkeys(own.domains))
        before = test.beats(primary[strategy].difference.value, primary[strategy].p)
        for domain in domains if len(domains) > 1 else ():
            places = [place for place, name in enumerate(own.domains) if name != domain]
            rest = (own.at(places), other.at(places))
            (each,) = _contrasts(model, strategy, *rest, PRIMARY[0], (PRIMARY[1],), test)
            beats = test.beats(each.difference.value, each.p)
            made.append(
                LeftOut(
                    model=model,
                    strategy=strategy,
                    domain=domain,
                    questions=each.questions,
                    difference=each.difference,
                    p=each.p,
                    beats=beats,
                    flips=beats != before,
                )
            )
    return made


def claims(
    models: Sequence[str], made: Sequence[Contrast], without: Sequence[LeftOut], test: Test
) -> list[SuperiorityClaim]:
    """One claim a model: above every control, each at alpha (so the largest p counts), Holm over the models."""
    primary = {model: [each for each in made if each.primary and each.model == model] for model in models}
    p = {model: max(_directed(each) for each in tested) for model, tested in primary.items() if tested}
    adjusted = permutation.holm(p)
    return [
        _claim(
            model,
            primary[model],
            p.get(model),
            adjusted.get(model),
            tuple(dict.fromkeys(each.domain for each in without if each.model == model and each.flips)),
            test,
            len(p),
        )
        for model in models
    ]


def _pairs(tables: Tables) -> dict[str, tuple[QuestionTable, QuestionTable]]:
    """Multiplex and each other strategy on the questions that both have, where there are any."""
    if MULTIPLEX not in tables:
        return {}
    both = {strategy: paired(tables[MULTIPLEX], tables[strategy]) for strategy in RIVALS if strategy in tables}
    return {strategy: pair for strategy, pair in both.items() if len(pair[0])}


def _contrasts(
    model: str,
    strategy: str,
    own: QuestionTable,
    other: QuestionTable,
    weighting: WeightingName,
    readings: Sequence[ReadingName],
    test: Test,
) -> list[Contrast]:
    a, b = own.rows[weighting], other.rows[weighting]
    figures: dict[str, row_sums.Figure] = {reading: READINGS[reading] for reading in readings}
    resamples, seed = test.draws.resamples, test.draws.seed
    found = resampling.paired_bootstrap(a, b, figures, own.domains, resamples=resamples, seed=seed)
    p = permutation.permutation(a, b, figures, permutations=test.permutations, seed=seed)
    return [
        Contrast(
            model=model,
            strategy=strategy,
            weighting=weighting,
            reading=reading,
            questions=found.questions,
            dropped=found.dropped,
            difference=estimate(found.differences[reading]),
            p=p[reading],
            primary=(weighting, reading) == PRIMARY,
        )
        for reading in readings
    ]


def _directed(contrast: Contrast) -> float:
    """The p of the contrast, and 1 where multiplex is not above: a loss, however sure, does not speak for it."""
    value = contrast.difference.value
    return contrast.p if contrast.p is not None and value is not None and value > 0 else 1.0


def _claim(
    model: str,
    tested: Sequence[Contrast],
    p: float | None,
    adjusted: float | None,
    flipping: tuple[str, ...],
    test: Test,
    models: int,
) -> SuperiorityClaim:
    names = tuple(each.strategy for each in tested)
    absent = tuple(strategy for strategy in RIVALS if strategy not in names)
    unbeaten = tuple(each.strategy for each in tested if not test.beats(each.difference.value, each.p))
    if adjusted is None:
        holds = None
    elif adjusted >= test.alpha:
        holds = False
    else:
        holds = None if set(absent) & set(CONTROLS) else True
    claim = SuperiorityClaim(
        model=model,
        holds=holds,
        tested=names,
        absent=absent,
        unbeaten=unbeaten,
        least=min(tested, key=_difference, default=None),
        p=p,
        p_holm=adjusted,
        flipping=flipping,
        text="",
    )
    return claim.model_copy(update={"text": _text(claim, tested, models)})


def _text(claim: SuperiorityClaim, tested: Sequence[Contrast], models: int) -> str:
    least, sentences = claim.least, []
    if least is None or claim.p is None or claim.p_holm is None:
        return f"{claim.model}: nothing can be claimed: no question was answered by multiplex and by another strategy."
    sure = f"the largest p is {_p(claim.p)}"
    if models > 1:
        sure += f", {_p(claim.p_holm)} by Holm over {models} models"
    missing = [strategy for strategy in claim.absent if strategy in CONTROLS]
    if claim.unbeaten:
        worst = " and ".join(_describe(each) for each in tested if each.strategy in claim.unbeaten)
        beaten = [strategy for strategy in claim.tested if strategy not in claim.unbeaten]
        sentences.append(
            f"{claim.model}: that multiplex spreads wider than every control does not hold: it is {worst}."
        )
        sentences.append(f"It is above {', '.join(beaten)}." if beaten else "It is above no strategy that was run.")
    elif claim.holds is False:
        sentences.append(
            f"{claim.model}: that multiplex spreads wider than every control does not hold once {models} models are "
            f"allowed for: it is above {', '.join(claim.tested)}; nearest, {_describe(least)}; {sure}."
        )
    else:
        every = "every control" if not missing else "every strategy that was run"
        sentences.append(
            f"{claim.model}: multiplex spreads wider than {every} ({', '.join(claim.tested)}); nearest, it is "
            f"{_describe(least)}; {sure}."
        )
    if missing:
        left = ", so the claim stays open" if claim.holds is None else ""
        sentences.append(f"It was not tested against {', '.join(missing)}{left}.")
    if claim.flipping:
        sentences.append(f"Without the domain {' or '.join(claim.flipping)} a comparison comes out otherwise.")
    return " ".join(sentences)


def _describe(contrast: Contrast) -> str:
    """A difference in words: "3.2 points above checklist (95% interval 1.0 to 5.1, 35 questions, p = 0.004)"."""
    value, low, high = contrast.difference.value, contrast.difference.low, contrast.difference.high
    if value is None:
        return f"not comparable with {contrast.strategy}"
    around = "no interval" if low is None or high is None else f"95% interval {low:.1f} to {high:.1f}"
    size = f"{abs(value):.1f} points {'above' if value > 0 else 'below'}" if abs(value) >= 0.05 else "level with"
    p = "" if contrast.p is None else f", p = {_p(contrast.p)}"
    asked = f"{contrast.questions} question{'' if contrast.questions == 1 else 's'}"
    return f"{size} {contrast.strategy} ({around}, {asked}{p})"


def _p(value: float) -> str:
    return f"{value:.4f}" if value < 0.01 else f"{value:.2f}"


def _difference(contrast: Contrast) -> float:
    value = contrast.difference.value
    return float("-inf") if value is None else value
