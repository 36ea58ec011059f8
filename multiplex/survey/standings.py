"""How close each condition is to people, beside the baselines, with intervals and paired tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from multiplex.evaluation.statistics.permutation import holm, permutation
from multiplex.evaluation.statistics.resampling import bootstrap
from multiplex.evaluation.statistics.row_sums import Figure as Statistic
from multiplex.survey.baselines import majorities, mean_of, others
from multiplex.survey.collected import RespondentAnswers, SurveyAnswers, Who
from multiplex.survey.countries import find_country
from multiplex.survey.data import Shares, Survey
from multiplex.survey.measures import (
    alignment,
    js_similarity,
    majority,
    skill,
    transport_similarity,
    uniform,
)
from multiplex.survey.results import Standing, SurveyContrast, SurveyFigure

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

Pair = tuple[str, str]  # a question and a country
KINDS = {"persona": "personas", "country": "countries", "forecast": "forecast", "plain": "plain"}
UNIFORM, OTHERS, OWN, ONE = (
    "uniform",
    "mean of other countries",
    "own perspective's other countries",
    "one answer for all",
)
TESTED = (
    ("personas", "plain"), ("personas", "countries"), ("personas", "forecast"), ("personas", OTHERS),
    ("countries", "plain"), ("forecast", "countries"),
)  # fmt: skip
RESAMPLES, PERMUTATIONS = 2000, 9999


@dataclass(frozen=True)
class SurveyCondition:
    """By pair, the distribution that a condition gives; and by respondent and country its chosen options."""

    shares: Mapping[Pair, Shares]
    points: Sequence[tuple[str, Mapping[str, int]]] = ()


def conditions(collected: SurveyAnswers, survey: Survey, model: str) -> dict[str, SurveyCondition]:
    """The conditions of a model, each over the pairs of a question and a country of people that it speaks of.

    A persona speaks of every country of its perspective, a country respondent of itself, the plain model of all. What
    personas answer after they heard each other is a condition of its own for each round.
    """
    made = {
        name: _condition(survey, collected.of(model, kind, number)) for kind, name, number in kinds_of(collected, model)
    }
    return {name: condition for name, condition in made.items() if condition.shares or condition.points}


def kinds_of(collected: SurveyAnswers, model: str) -> list[tuple[str, str, int]]:
    """The kinds of respondents, their names in tables, and their rounds: personas stand once for each round."""
    later = [("persona", in_round("personas", number), number) for number in collected.rounds(model) if number > 1]
    return [*((kind, name, 1) for kind, name in KINDS.items()), *later]


def in_round(name: str, number: int) -> str:
    """The name of a condition in a round: `personas`, `personas, round 2`."""
    return name if number == 1 else f"{name}, round {number}"


def baselines(survey: Survey, pairs: Iterable[Pair]) -> dict[str, SurveyCondition]:
    """What people alone, or nobody, would say to the same pairs."""
    asked = list(dict.fromkeys(pairs))
    there = {c for _, c in asked}
    rest = {c: others(survey, c) for c in there}
    own = {c: others(survey, c, own_perspective=True) for c in there}
    made: dict[str, dict[Pair, Shares]] = {UNIFORM: {}, OTHERS: {}, OWN: {}}
    for q, c in asked:
        made[UNIFORM][q, c] = uniform(len(survey.by_id[q].options))
        for name, countries in ((OTHERS, rest[c]), (OWN, own[c])):
            if (mean := mean_of(survey, q, countries)) is not None:
                made[name][q, c] = mean
    found = {name: SurveyCondition(shares, () if name == UNIFORM else _chosen(shares)) for name, shares in made.items()}
    return found | {ONE: SurveyCondition({}, _chosen(made[OTHERS]))}


def standings(
    survey: Survey, model: str, found: Mapping[str, SurveyCondition], based: Mapping[str, SurveyCondition], seed: int
) -> list[Standing]:
    """A row a condition and baseline, over all and by perspective of the people."""
    homes = {c: find_country(c).perspective for c in survey.countries}
    perspectives = sorted({p for p in homes.values() if p is not None})
    rows = []
    close = {name: similarities(survey, condition) for name, condition in (*found.items(), *based.items())}
    for perspective in (None, *perspectives):
        here = {c for c, home in homes.items() if perspective is None or home == perspective}
        for name, condition in (*found.items(), *based.items()):
            row = _standing(survey, condition, close[name], here, seed)
            if row is not None:
                about = {"model": model, "perspective": perspective, "condition": name, "baseline": name in based}
                rows.append(row.model_copy(update=about))
    return rows


def contrasts(
    survey: Survey,
    by_model: Mapping[str, tuple[Mapping[str, SurveyCondition], Mapping[str, SurveyCondition]]],
    seed: int,
) -> list[SurveyContrast]:
    """Differences of conditions in similarity, over the pairs that both have; p by swapping labels within a cluster."""
    made: list[SurveyContrast] = []
    later = sorted({name for found, _ in by_model.values() for name in found if name.startswith("personas, ")})
    for first, second in (*TESTED, *((name, "personas") for name in later)):
        own: dict[str, SurveyContrast] = {}
        for model, (found, based) in by_model.items():
            every = {**based, **found}
            if first in found and second in every:
                contrast = _contrast(survey, model, first, second, every, seed)
                if contrast is not None:
                    own[model] = contrast
        adjusted = holm({model: each.p for model, each in own.items() if each.p is not None})
        made += [each.model_copy(update={"p_holm": adjusted.get(model)}) for model, each in own.items()]
    return made


def similarities(survey: Survey, condition: SurveyCondition) -> dict[Pair, float]:
    """By pair, 1 - Jensen-Shannon distance to the people of the country."""
    return {
        (q, c): js_similarity(given, survey.shares[q][c])
        for (q, c), given in condition.shares.items()
        if c in survey.shares.get(q, {})
    }


def _standing(
    survey: Survey, condition: SurveyCondition, close: Mapping[Pair, float], here: set[str], seed: int
) -> Standing | None:
    values = {pair: value for pair, value in close.items() if pair[1] in here}
    pairs = list(values)
    options = {question.id: len(question.options) for question in survey.questions}
    aligned = [
        value
        for country, chosen in condition.points
        if country in here and (value := alignment(chosen, majorities(survey, country), options)) is not None
    ]
    if not pairs and not aligned:
        return None
    moved = [
        transport_similarity(condition.shares[pair], survey.shares[pair[0]][pair[1]], scale)
        for pair in pairs
        if (scale := survey.by_id[pair[0]].scale) is not None
    ]
    return Standing(
        model="",
        perspective=None,
        condition="",
        pairs=len(pairs),
        similarity=_mean_with_interval(survey, values, seed),
        transport=sum(moved) / len(moved) if moved else None,
        skill=skill([(condition.shares[q, c], survey.shares[q][c]) for q, c in pairs]) if pairs else None,
        alignment=sum(aligned) / len(aligned) if aligned else None,
        note="" if pairs else "point answers or means alone: no distribution to compare",
    )


def _mean_with_interval(survey: Survey, values: Mapping[Pair, float], seed: int) -> SurveyFigure:
    if not values:
        return SurveyFigure(value=None)
    rows = _clusters(survey, [values])
    found = bootstrap([rows], {"mean": Statistic(_ratio)}, resamples=RESAMPLES, seed=seed)["mean"]
    around = found.interval
    return SurveyFigure(value=found.value, low=around.low if around else None, high=around.high if around else None)


def _contrast(
    survey: Survey, model: str, first: str, second: str, every: Mapping[str, SurveyCondition], seed: int
) -> SurveyContrast | None:
    a, b = (similarities(survey, every[name]) for name in (first, second))
    both = [pair for pair in a if pair in b]
    if not both:
        return None
    differences = {pair: a[pair] - b[pair] for pair in both}
    difference = _mean_with_interval(survey, differences, seed)
    arms = [_clusters(survey, [{pair: of[pair] for pair in both}]) for of in (a, b)]
    ours, theirs = map(_padded, arms)
    p = permutation(ours, theirs, {"mean": Statistic(_ratio)}, permutations=PERMUTATIONS, seed=seed)["mean"]
    return SurveyContrast(
        model=model, first=first, second=second, pairs=len(both), difference=difference, p=p, p_holm=None
    )


def _clusters(survey: Survey, tables: Sequence[Mapping[Pair, float]]) -> Array:
    """A row a cluster of questions, shape (clusters, 2): the sum of its values, and their number."""
    import numpy as np

    sums: dict[str, list[float]] = {}
    for values in tables:
        for (q, _), value in values.items():
            cluster = survey.by_id[q].cluster or f"\0{q}"
            row = sums.setdefault(cluster, [0.0, 0.0])
            row[0] += value
            row[1] += 1
    return np.array(list(sums.values()), dtype=np.float64)


def _padded(rows: Array) -> Array:
    """Rows as `permutation` takes them: the entropies of its own layout are nothing here."""
    import numpy as np

    return np.hstack([rows, np.zeros((len(rows), 4))])


def _ratio(sums: Array) -> Array:
    import numpy as np

    means: Array = np.divide(sums[:, 0], sums[:, 1], out=np.full(len(sums), np.nan), where=sums[:, 1] > 0)
    return means


def _condition(survey: Survey, respondents: Iterable[tuple[Who, RespondentAnswers]]) -> SurveyCondition:
    shares: dict[Pair, Shares] = {}
    points: list[tuple[str, Mapping[str, int]]] = []
    for who, answers in respondents:
        countries = _countries(survey, who, answers)
        own = {q: given for q in answers.asked if (given := answers.shares(q)) is not None}
        shares |= {(q, c): given for q, given in own.items() for c in countries if c in survey.shares.get(q, {})}
        single = {q: each for q in answers.asked if (each := answers.points(q))}
        forms = max(map(len, single.values()), default=0)  # point answers: every form counts, in the mean
        rows = [{q: each[form] for q, each in single.items() if form < len(each)} for form in range(forms)]
        rows = rows or [{q: majority(given) for q, given in own.items()}]
        points += [(country, row) for country in countries for row in rows if row]
    return SurveyCondition(shares, points)


def _countries(survey: Survey, who: Who, answers: RespondentAnswers) -> list[str]:
    if who.kind == "persona":
        return [code for code in survey.countries if find_country(code).perspective == answers.perspective]
    return [who.of] if who.of else list(survey.countries)


def _chosen(shares: Mapping[Pair, Shares]) -> list[tuple[str, Mapping[str, int]]]:
    by_country: dict[str, dict[str, int]] = {}
    for (q, c), given in shares.items():
        by_country.setdefault(c, {})[q] = majority(given)
    return list(by_country.items())
