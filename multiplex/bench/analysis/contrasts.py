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

    def beats(self, contrast: Contrast) -> bool:
        """Whether multiplex is above, by a two-sided test at alpha."""
        return self.can_show(contrast) and _directed(contrast) < self.alpha

    def can_show(self, contrast: Contrast) -> bool:
        """Whether there are questions enough for any p below alpha."""
        return least_p(contrast) < self.alpha


def least_p(contrast: Contrast) -> float:
    """The least two-sided p that its number of questions allows, when answers are swapped within each: 2 / 2^n."""
    return float(min(1.0, 2.0 ** (1 - contrast.questions)))


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
        before = test.beats(primary[strategy])
        for domain in domains if len(domains) > 1 else ():
            places = [place for place, name in enumerate(own.domains) if name != domain]
            rest = (own.at(places), other.at(places))
            (each,) = _contrasts(model, strategy, *rest, PRIMARY[0], (PRIMARY[1],), test)
            beats = test.beats(each)
            made.append(
                LeftOut(
                    model=model,
                    strategy=strategy,
                    domain=domain,
                    questions=each.questions,
                    difference=each.difference,
                    p=each.p,
                    beats=beats,
                    flips=beats != before and test.can_show(each),
                )
            )
    return made


def claims(
    models: Sequence[str], made: Sequence[Contrast], without: Sequence[LeftOut], test: Test
) -> list[SuperiorityClaim]:
    """One claim a model: above every control, each at alpha (so the largest p counts), Holm over the models."""
    primary = {model: [each for each in made if each.primary and each.model == model] for model in models}
    controls = {model: [each for each in of if each.strategy in CONTROLS] for model, of in primary.items()}
    p = {model: max(map(_directed, of)) for model, of in controls.items() if of}
    adjusted = permutation.holm(p)
    least = permutation.holm({model: max(map(least_p, controls[model])) for model in p})
    found = []
    for model in models:
        tested = controls[model]
        claim = SuperiorityClaim(
            model=model,
            holds=_holds(tested, adjusted.get(model), least.get(model), test),
            tested=tuple(each.strategy for each in tested),
            absent=tuple(name for name in CONTROLS if all(each.strategy != name for each in tested)),
            unbeaten=tuple(each.strategy for each in tested if not test.beats(each)),
            least=min(tested, key=_difference, default=None),
            p=p.get(model),
            p_holm=adjusted.get(model),
            flipping=tuple(
                dict.fromkeys(
                    each.domain for each in without if each.model == model and each.strategy in CONTROLS and each.flips
                )
            ),
            text="",
        )
        found.append(claim.model_copy(update={"text": _text(claim, primary[model], least.get(model), len(p), test)}))
    return found


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


def _holds(tested: Sequence[Contrast], adjusted: float | None, least: float | None, test: Test) -> bool | None:
    """As `SuperiorityClaim.holds`; `least` is the least that `adjusted` could be with so many questions."""
    if adjusted is None or least is None:
        return None
    if any(test.can_show(each) and not test.beats(each) for each in tested):
        return False
    if least >= test.alpha:
        return None
    if adjusted >= test.alpha:
        return False
    return True if len(tested) == len(CONTROLS) else None


def _text(
    claim: SuperiorityClaim, compared: Sequence[Contrast], least_possible: float | None, models: int, test: Test
) -> str:
    """The claim in words; `compared` are the primary contrasts with controls and with the other strategies."""
    sentences = [_verdict(claim, compared, least_possible, models, test)]
    if claim.tested and claim.absent:
        left = ", so the claim stays open" if claim.holds is None else ""
        sentences.append(f"It was not tested against {', '.join(claim.absent)}{left}.")
    if claim.flipping:
        sentences.append(f"Without the domain {' or '.join(claim.flipping)} a comparison comes out otherwise.")
    if beside := [_standing(each, test) for each in compared if each.strategy not in CONTROLS]:
        sentences.append(f"Beside the claim, which is of controls alone: multiplex is {'; '.join(beside)}.")
    return f"{claim.model}: {' '.join(sentences)}"


def _verdict(
    claim: SuperiorityClaim, compared: Sequence[Contrast], least_possible: float | None, models: int, test: Test
) -> str:
    """Whether the claim holds, does not, or cannot be told, and by which figures."""
    tested = [each for each in compared if each.strategy in CONTROLS]
    if claim.least is None or claim.p is None or claim.p_holm is None or least_possible is None:
        rival = "a control" if compared else "another strategy"
        return f"nothing can be claimed: no question was answered by multiplex and by {rival}."
    if claim.holds is False and claim.unbeaten:
        worst = "; ".join(_standing(each, test) for each in tested if each.strategy in claim.unbeaten)
        beaten = ", ".join(strategy for strategy in claim.tested if strategy not in claim.unbeaten)
        above = f"It is above {beaten}." if beaten else "It is shown to be above no control."
        return f"that multiplex spreads wider than every control does not hold: it is {worst}. {above}"
    if claim.holds is None and least_possible >= test.alpha:
        questions = min(each.questions for each in tested)
        return (
            f"{questions} question{' is' if questions == 1 else 's are'} too few to show whether multiplex spreads "
            f"wider than every control: p cannot be below {_p(least_possible)}{_by_holm(models)}. Nearest, it is "
            f"{_describe(claim.least)}."
        )
    sure = f"nearest, it is {_describe(claim.least)}; the largest p is {_p(claim.p)}"
    if models > 1:
        sure += f", {_p(claim.p_holm)}{_by_holm(models)}"
    above = ", ".join(claim.tested)
    if claim.holds is False:
        return (
            f"that multiplex spreads wider than every control does not hold once {models} models are allowed for: "
            f"it is above {above}; {sure}."
        )
    every = "every control that was run" if claim.absent else "every control"
    return f"multiplex spreads wider than {every} ({above}); {sure}."


def _by_holm(models: int) -> str:
    return f" by Holm over {models} models" if models > 1 else ""


def _standing(contrast: Contrast, test: Test) -> str:
    """What the test says of one contrast: above, below, or not shown to be either."""
    value = contrast.difference.value
    below = value is not None and value < 0 and contrast.p is not None and contrast.p < test.alpha
    if value is None or test.beats(contrast) or (below and test.can_show(contrast)):
        return _describe(contrast)
    return f"not shown to be above {contrast.strategy}, being {_describe(contrast, named=False)}"


def _describe(contrast: Contrast, *, named: bool = True) -> str:
    """A difference in words: "3.2 points above checklist (95% interval 1.0 to 5.1, 35 questions, p = 0.004)"."""
    value, low, high = contrast.difference.value, contrast.difference.low, contrast.difference.high
    other = contrast.strategy if named else "it"
    if value is None:
        return f"not comparable with {other}"
    around = "no interval" if low is None or high is None else f"95% interval {low:.1f} to {high:.1f}"
    size = f"{abs(value):.1f} points {'above' if value > 0 else 'below'}" if abs(value) >= 0.05 else "level with"
    p = "" if contrast.p is None else f", p = {_p(contrast.p)}"
    asked = f"{contrast.questions} question{'' if contrast.questions == 1 else 's'}"
    return f"{size} {other} ({around}, {asked}{p})"


def _p(value: float) -> str:
    return f"{value:.4f}" if value < 0.1 else f"{value:.2f}"


def _difference(contrast: Contrast) -> float:
    value = contrast.difference.value
    return float("-inf") if value is None else value
