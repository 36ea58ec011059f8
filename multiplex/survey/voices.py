"""Profiles, identification, spread and stability of a run's respondents, beside those of people."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, TypeVar

from multiplex.council.answer import Choice
from multiplex.survey import profiles
from multiplex.survey.baselines import mean_of
from multiplex.survey.collected import RespondentAnswers, SurveyAnswers, Variant, Who
from multiplex.survey.countries import find_country
from multiplex.survey.data import Shares, Survey, SurveyQuestion, mean_on
from multiplex.survey.measures import js_similarity, majority, option_distance, total_variation
from multiplex.survey.results import CouncilSpread, Identification, MapPoint, Near, Profile, Stability
from multiplex.survey.spread import diversity, spanning_length
from multiplex.survey.standings import SurveyCondition, in_round, similarities

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

T = TypeVar("T")
LEAST_VOICES = 2
FACTORS: Mapping[str, Callable[[Variant], object]] = {
    "order": lambda variant: variant.order, "labels": lambda variant: variant.labels,
    "wording": lambda variant: variant.wording, "paraphrase": lambda variant: variant.text,
    "seed": lambda variant: variant.epoch,
}  # fmt: skip


def why_unmeasured(perspective: str | None) -> str:
    """Why nothing is said of a perspective that no country of a survey belongs to."""
    of = "no survey asks its people" if perspective == "indigenous" else "the survey has no country of it"
    return f"not measurable: {of}"


def scaled(survey: Survey) -> list[SurveyQuestion]:
    """The questions whose options have an order: only they have a mean."""
    return [question for question in survey.questions if question.scale is not None]


def people_rows(survey: Survey, codes: Sequence[str]) -> Array:
    """People's mean answers, 0..1, shape (countries, ordered questions), NaN where they were not asked."""
    import numpy as np

    rows = [[survey.mean(question.id, code) for question in scaled(survey)] for code in codes]
    return np.array(rows, dtype=np.float64).reshape(len(codes), len(scaled(survey)))


def answer_rows(survey: Survey, answers: Sequence[RespondentAnswers]) -> Array:
    """Respondents' mean answers, in the same form."""
    import numpy as np

    rows = [[_mean_answer(question, each) for question in scaled(survey)] for each in answers]
    return np.array(rows, dtype=np.float64).reshape(len(answers), len(scaled(survey)))


def human_ceiling(survey: Survey) -> tuple[dict[str, float], float | None]:
    """By perspective, the r that its countries' people reach with each other's; and how often the own is nearest."""
    homes = [find_country(code).perspective for code in survey.countries]
    found = profiles.leave_one_out(people_rows(survey, survey.countries), homes)
    hits, of = profiles.nearest_own(found, homes)
    return profiles.ceiling(found, homes), hits / of if of else None


def persona_profiles(
    survey: Survey, collected: SurveyAnswers, model: str, number: int, ceiling: Mapping[str, float]
) -> tuple[list[Profile], Identification | None]:
    """Each persona's profile in a round, centred over the council, with those of its perspective and each country."""
    voices = list(collected.of(model, "persona", number))
    if len(voices) < LEAST_VOICES:
        return [], None
    ours = profiles.centre(answer_rows(survey, [answers for _, answers in voices]))
    theirs = profiles.centre(people_rows(survey, survey.countries))
    homes = [find_country(code).perspective for code in survey.countries]
    groups = sorted({home for home in homes if home is not None})
    of_group = [profiles.column_means(theirs[[home == group for home in homes]]) for group in groups]
    columns = [group for group in groups if any(answers.perspective == group for _, answers in voices)]
    found, matrix, own = [], [], []
    for (who, answers), row in zip(voices, ours, strict=True):
        home = answers.perspective
        by_group = {g: profiles.correlation(row, each) for g, each in zip(groups, of_group, strict=True)}
        by_country = {c: profiles.correlation(row, each) for c, each in zip(survey.countries, theirs, strict=True)}
        found.append(_profile(model, who, home, by_group.get(home or ""), ceiling, by_country, row, home in by_group))
        if home in by_group:
            matrix.append([by_group[group] for group in columns])
            own.append(columns.index(home))
    return found, _identified(model, in_round("personas", number), matrix, own)


def country_profiles(
    survey: Survey, collected: SurveyAnswers, model: str, kind: str, ceiling: Mapping[str, float]
) -> tuple[list[Profile], Identification | None]:
    """Each country respondent's profile, centred over them all, with those of the same countries' people."""
    voices = [(who, answers) for who, answers in collected.of(model, kind) if who.of in survey.countries]
    if len(voices) < LEAST_VOICES:
        return [], None
    codes = [who.of for who, _ in voices]
    ours = profiles.centre(answer_rows(survey, [answers for _, answers in voices]))
    theirs = profiles.centre(people_rows(survey, codes))
    matrix = profiles.correlations(ours, theirs)
    found = []
    for place, (who, _) in enumerate(voices):
        by_country = dict(zip(codes, matrix[place], strict=True))
        home = find_country(who.of).perspective
        found.append(_profile(model, who, home, matrix[place][place], ceiling, by_country, ours[place], True))
    return found, _identified(model, kind, matrix, range(len(matrix)))


def spreads(survey: Survey, collected: SurveyAnswers, model: str) -> list[CouncilSpread]:
    """How far personas and country respondents lie apart, in every round, beside their people."""
    found = []
    for number in collected.rounds(model):
        voices = [answers for _, answers in collected.of(model, "persona", number)]
        homes = [answers.perspective for answers in voices]
        people = [
            {q.id: s for q in survey.questions if (s := mean_of(survey, q.id, _at_home(survey, home))) is not None}
            for home in homes
            if home is not None and _at_home(survey, home)
        ]
        found.append(_spread(survey, model, "personas", number, voices, people))
    for kind in ("country", "forecast"):
        pairs = list(collected.of(model, kind))
        people = [{q: of[who.of] for q, of in survey.shares.items() if who.of in of} for who, _ in pairs]
        if len(pairs) >= LEAST_VOICES:
            found.append(_spread(survey, model, kind, 1, [answers for _, answers in pairs], people))
    return found


def stability(survey: Survey, collected: SurveyAnswers, model: str) -> list[Stability]:
    """What order, labels, wording, paraphrase and seed alone change, over all respondents of a model."""
    deviations = {q.id: _deviation(survey, q) for q in scaled(survey)}
    found = []
    for factor in FACTORS:
        rest = [key for name, key in FACTORS.items() if name not in (factor, "seed")]
        variation: list[float] = []
        moved = spread = 0.0
        for who, answers in collected.answers.items():
            if who.model != model:
                continue
            for name, asked in answers.asked.items():
                known = [(variant, mass) for variant, choice in asked if (mass := _mass(choice)) is not None]
                for (a, p), (b, q) in combinations(known, 2):
                    if FACTORS[factor](a) == FACTORS[factor](b) or any(key(a) != key(b) for key in rest):
                        continue
                    variation.append(total_variation(p, q))
                    scale, deviation = survey.by_id[name].scale, deviations.get(name)
                    if scale is not None and deviation:
                        moved += abs(mean_on(scale, p) - mean_on(scale, q))
                        spread += deviation
        found.append(
            Stability(
                model=model,
                factor=factor,
                pairs=len(variation),
                variation=sum(variation) / len(variation) if variation else None,
                in_deviations=moved / spread if spread else None,
            )
        )
    return found


def nearest_countries(survey: Survey, plain: SurveyCondition | None, model: str) -> list[Near]:
    """The countries by the mean similarity of their people to the plain model's answers, nearest first.

    Left out are countries that were asked fewer than `profiles.LEAST` questions, or than half as many as the one that
    was asked most.
    """
    if plain is None:
        return []
    by_country: dict[str, list[float]] = {}
    for (_, country), value in similarities(survey, plain).items():
        by_country.setdefault(country, []).append(value)
    least = max(profiles.LEAST, max(map(len, by_country.values()), default=0) / 2)
    rows = [
        Near(
            model=model,
            country=code,
            perspective=find_country(code).perspective,
            similarity=sum(values) / len(values),
            questions=len(values),
        )
        for code, values in by_country.items()
        if len(values) >= least
    ]
    return sorted(rows, key=lambda row: -row.similarity)


def places(survey: Survey, collected: SurveyAnswers, model: str) -> list[MapPoint]:
    """Voices and countries in the two dimensions in which countries' profiles differ most (principal components).

    None for fewer than three countries or two ordered questions. A question without an answer stands at its mean.
    Voices are centred over the council, countries over all countries.
    """
    import numpy as np

    countries = profiles.centre(people_rows(survey, survey.countries))
    voices = list(collected.of(model, "persona"))
    if len(countries) < 3 or countries.shape[1] < 2:
        return []
    filled = np.nan_to_num(countries)
    _, _, axes = np.linalg.svd(filled, full_matrices=False)
    found = [
        MapPoint(label=code, kind="country", perspective=find_country(code).perspective, x=float(at[0]), y=float(at[1]))
        for code, at in zip(survey.countries, filled @ axes[:2].T, strict=True)
    ]
    if len(voices) >= LEAST_VOICES:
        ours = np.nan_to_num(profiles.centre(answer_rows(survey, [answers for _, answers in voices])))
        found += [
            MapPoint(label=who.of, kind="persona", perspective=answers.perspective, x=float(at[0]), y=float(at[1]))
            for (who, answers), at in zip(voices, ours @ axes[:2].T, strict=True)
        ]
    return found


def _profile(
    model: str, who: Who, home: str | None, r: float | None, ceiling: Mapping[str, float],
    by_country: Mapping[str, float | None], row: Array, measured: bool,
) -> Profile:  # fmt: skip
    import numpy as np

    known = {code: value for code, value in by_country.items() if value is not None}
    questions = int(np.count_nonzero(~np.isnan(row)))
    note = ""
    if r is None and not measured:
        note = why_unmeasured(home)
    elif r is None:
        few = f"fewer than {profiles.LEAST} ordered questions"
        note = few if questions < profiles.LEAST else f"answers that do not vary, or {few} that its people were asked"
    return Profile(
        model=model,
        name=who.name,
        perspective=home,
        round=who.round,
        r=r,
        ceiling=ceiling.get(home or ""),
        by_country=dict(by_country) if measured else {},
        nearest=max(known, key=known.__getitem__) if known and measured else None,
        questions=questions,
        note=note,
    )


def _identified(
    model: str, kind: str, matrix: Sequence[Sequence[float | None]], own: Sequence[int]
) -> Identification | None:
    if len(matrix) < LEAST_VOICES:
        return None
    share, chance, judged = profiles.identification(matrix, own) or (None, None, 0)
    return Identification(model=model, kind=kind, own=share, chance=chance, people=None, of=judged)


def _spread(
    survey: Survey,
    model: str,
    kind: str,
    number: int,
    voices: Sequence[RespondentAnswers],
    people: Sequence[Mapping[str, Shares]],
) -> CouncilSpread:
    """How far voices lie apart, beside people; point answers beside people's majority options."""
    options = {question.id: len(question.options) for question in survey.questions}
    shares = [{q: given for q in options if (given := each.shares(q)) is not None} for each in voices]
    if any(shares):
        ours, theirs = _lengths(shares, _apart), _lengths(people, _apart)
    else:
        apart = partial(option_distance, options=options)
        points = [{q: point for q in options if (point := each.point(q)) is not None} for each in voices]
        chosen = [{q: majority(given) for q, given in of.items()} for of in people]
        ours, theirs = _lengths(points, apart), _lengths(chosen, apart)
    return CouncilSpread(
        model=model,
        kind=kind,
        round=number,
        voices=len(voices),
        diversity=ours[0],
        people=theirs[0],
        spanning=ours[1],
        people_spanning=theirs[1],
    )


def _lengths(of: Sequence[T], apart: Callable[[T, T], float | None]) -> tuple[float | None, float | None]:
    """The diversity and the length of the spanning tree."""
    return diversity(of, apart), spanning_length(of, apart)


def _mass(choice: Choice) -> Shares | None:
    """A choice's shares, a point answer as all on one option: to compare a respondent's forms, never with people."""
    if choice.point is not None:
        return tuple(float(place == choice.point) for place in range(len(choice.options)))
    return choice.shares


def _apart(a: Mapping[str, Shares], b: Mapping[str, Shares]) -> float | None:
    """The mean Jensen-Shannon distance over the questions that both have, 0..1; None where there are none."""
    values = [1 - js_similarity(a[q], b[q]) for q in a if q in b]
    return sum(values) / len(values) if values else None


def _mean_answer(question: SurveyQuestion, answers: RespondentAnswers) -> float | None:
    if question.scale is None:
        return None
    if (shares := answers.shares(question.id)) is not None:
        return mean_on(question.scale, shares)
    points = [question.scale[point] for point in answers.points(question.id)]
    return sum(points) / len(points) if points else None


def _at_home(survey: Survey, perspective: str) -> list[str]:
    return [code for code in survey.countries if find_country(code).perspective == perspective]


def _deviation(survey: Survey, question: SurveyQuestion) -> float | None:
    import numpy as np

    means = [m for code in survey.countries if (m := survey.mean(question.id, code)) is not None]
    return float(np.std(means, ddof=1)) if len(means) > 1 else None
