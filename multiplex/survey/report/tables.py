"""The tables of a survey's report, as rows of text that the page and the Markdown share."""

from __future__ import annotations

from multiplex.bench.report.tables import Table, chance, plain
from multiplex.present.numbers import NONE, number
from multiplex.survey.countries import find_country
from multiplex.survey.profiles import LEAST
from multiplex.survey.report.words import first_round
from multiplex.survey.results import Profile, Results, SurveyFigure
from multiplex.survey.standings import in_round

ALL = "all countries"
NEAREST = 10  # countries of the plain model's list

Groups = tuple[tuple[str, tuple[tuple[str, ...], ...]], ...]


def tables(results: Results) -> list[Table]:
    """Every table, in the order in which they are read; those with nothing in them are left out."""
    made = [
        stability(results),
        replies(results),
        profiles(results),
        identification(results),
        standings(results),
        contrasts(results),
        spreads(results),
        by_country(results),
        nearest(results),
        ceiling(results),
    ]
    return [table for table in made if any(rows for _, rows in table.groups)]


def figure(of: SurveyFigure, form: str = ".3f") -> str:
    """A figure with its interval in brackets."""
    if of.value is None:
        return NONE
    around = f" [{number(of.low, form)}, {number(of.high, form)}]" if of.low is not None else ""
    return number(of.value, form) + around


def stability(results: Results) -> Table:
    """What the form of the question alone changes."""
    rows = {
        model: tuple(
            (each.factor, f"{each.pairs:,}", number(each.variation, ".3f"), number(each.in_deviations, ".2f"))
            for each in results.stability
            if each.model == model and each.pairs
        )
        for model in results.models
    }
    note = (
        "Two answers of one respondent to one question that differ in nothing but this (the seed: in nothing but the "
        "epoch; the wording is the prompt's, a paraphrase the question's). Variation: half the sum of differences "
        "between the two distributions, 0 to 1; of point answers, the share of pairs that differ. In SDs: the "
        "difference of their means on the scale in standard deviations between the countries' people; above 1, the "
        "order of the options moves an answer further than a country does."
    )
    return Table(
        "What the form of a question changes", ("factor", "pairs", "variation", "in SDs between countries"),
        tuple(rows.items()), note,
    )  # fmt: skip


def replies(results: Results) -> Table:
    """What became of the replies."""
    return _of_models(
        results,
        "Replies",
        ("respondents", "readable", "declined", "unreadable", "mass outside the options"),
        {
            model: [
                (r.kind, f"{r.readable:,}", f"{r.refused:,}", f"{r.unreadable:,}", number(r.outside, ".1%"))
                for r in results.replies
                if r.model == model
            ]
            for model in results.models
        },
        "Declined and unreadable replies are counted and left out; they are never taken for an option. The mass "
        "outside "
        "is the probability of next tokens that are no option's letter (with log probabilities).",
    )


def standings(results: Results) -> Table:
    """Closeness to people, over all countries and by perspective, with the baselines."""
    groups = []
    for model in results.models:
        for perspective in dict.fromkeys(each.perspective for each in results.standings if each.model == model):
            rows = [
                (
                    each.condition + (" (baseline)" if each.baseline else ""),
                    f"{each.pairs:,}",
                    figure(each.similarity),
                    number(each.transport, ".3f"),
                    number(each.skill, ".1f"),
                    number(each.alignment, ".1f"),
                )
                for each in results.standings
                if each.model == model and each.perspective == perspective
            ]
            groups.append((f"{model}: {plain(perspective) if perspective else ALL}", tuple(rows)))
    return Table(
        "How close answers are to people's",
        ("who", "pairs", "1 − JSD", "1 − W1/(N−1)", "S", "alignment"),
        tuple(groups),
        "Pairs of a question and a country. 1 − JSD: Jensen-Shannon distance in base 2, with a 95% interval over "
        "clusters of questions. W1: over ordered options. S: 100 is people's own answer, 0 a uniform one. "
        "Alignment: of "
        "majority options (arXiv 2606.05985). Each row is over its own pairs: rows of people alone, such as the own "
        "perspective's other countries, lack countries that have no others. Plain is compared with every country. "
        "Personas answer by themselves; from round 2 on, after they heard each other.",
    )


def contrasts(results: Results) -> Table:
    """Paired differences."""
    return _of_models(
        results,
        "Differences in 1 − JSD over the same pairs",
        ("minus", "pairs", "difference", "p", "p (Holm)"),
        {
            model: [
                (f"{c.first} − {c.second}", f"{c.pairs:,}", figure(c.difference), chance(c.p), chance(c.p_holm))
                for c in results.contrasts
                if c.model == model
            ]
            for model in results.models
        },
        "95% intervals by resampling clusters of questions; p by swapping the two within a cluster; Holm over models.",
    )


def profiles(results: Results) -> Table:
    """Each voice's profile beside the human ceiling."""
    return _of_models(
        results,
        "Profiles",
        ("voice", "r with its own people", "human ceiling", "nearest country", "questions", "note"),
        {
            model: [_profile(each) for each in results.profiles if each.model == model]
            for model in results.models
        },
        "A profile: on which ordered questions somebody stands above or below the others (voices are centred over the "
        "voices, countries over the countries). The ceiling: the mean r of a country's people with the other "
        "countries of "
        "the perspective.",
    )  # fmt: skip


def identification(results: Results) -> Table:
    """How often the own people are the nearest."""
    return _of_models(
        results,
        "Identification",
        ("respondents", "own people nearest", "chance", "people", "of"),
        {
            model: [
                (i.kind, number(i.own, ".0%"), number(i.chance, ".0%"), number(i.people, ".0%"), str(i.of))
                for i in results.identification
                if i.model == model
            ]
            for model in results.models
        },
        "Own people: the perspective's for personas, the country's for countries. People: the share of countries whose "
        "people stand nearest their own perspective, themselves left out. Of: respondents whose r with their own "
        "people and with others can be measured.",
    )


def spreads(results: Results) -> Table:
    """Diversity beside people's, by round."""
    return _of_models(
        results,
        "How far voices lie apart",
        ("voices", "round", "number", "diversity", "people's", "spanning tree", "people's"),
        {
            model: [
                (
                    s.kind, str(s.round), str(s.voices), number(s.diversity, ".1f"), number(s.people, ".1f"),
                    number(s.spanning, ".1f"), number(s.people_spanning, ".1f"),
                )
                for s in results.spreads
                if s.model == model
            ]
            for model in results.models
        },
        "100 × the mean Jensen-Shannon distance between two voices, and the mean edge of the shortest tree that joins "
        "them all; beside it the same for the people they are named after. Between point answers: the distance of "
        "options (arXiv 2606.05985). A fall from round 1 to the last: hearing each "
        "other makes the voices alike.",
    )  # fmt: skip


def by_country(results: Results) -> Table:
    """Each persona against the countries of its own perspective, one by one."""
    groups = []
    for model in results.models:
        rows = []
        for each in first_round(results, model):
            own = {c: r for c, r in each.by_country.items() if find_country(c).perspective == each.perspective}
            told = ", ".join(f"{find_country(c).name} {number(r, '.2f')}" for c, r in own.items())
            rows.append((each.name.partition(":")[2], told or each.note))
        groups.append((model, tuple(rows)))
    note = "A perspective is not one profile: r of each persona with the people of each country of its own."
    return Table("By country", ("persona", "r"), tuple(groups), note, folded=True)


def nearest(results: Results) -> Table:
    """Whom the plain model answers like."""
    groups = []
    for model in results.models:
        ranked = [each for each in results.near if each.model == model]
        rows = [
            (f"{place}. {find_country(each.country).name}", plain(each.perspective or NONE), f"{each.similarity:.3f}",
             f"{each.questions:,}")
            for place, each in enumerate(ranked[:NEAREST], 1)
        ]  # fmt: skip
        groups.append((model, tuple(rows)))
    note = (
        "By mean 1 − JSD over the questions that the country was asked; countries were not asked the same ones. Those "
        f"asked fewer than {LEAST}, or than half as many as the one asked most, are left out."
    )
    return Table(
        "Whose people the plain model answers like", ("country", "perspective", "1 − JSD", "questions"), tuple(groups),
        note, folded=True,
    )  # fmt: skip


def ceiling(results: Results) -> Table:
    """What people reach with each other."""
    rows = tuple((plain(name), f"{value:.2f}") for name, value in sorted(results.ceiling.items(), key=lambda x: -x[1]))
    note = (
        "The mean r of a country's people with the mean of the other countries of its perspective, centred on the "
        "mean of "
        "all other countries. A low one says that the perspective is no opinion profile in this survey."
    )
    return Table("The human ceiling", ("perspective", "r"), (("", rows),), note, folded=True)


def _profile(each: Profile) -> tuple[str, ...]:
    kind, _, name = each.name.partition(":")
    shown = in_round(name, each.round) if kind == "persona" else f"{kind} {find_country(name).name}"
    near = find_country(each.nearest).name if each.nearest else NONE
    return (shown, number(each.r, ".2f"), number(each.ceiling, ".2f"), near, f"{each.questions:,}", each.note)


def _of_models(
    results: Results, title: str, head: tuple[str, ...], rows: dict[str, list[tuple[str, ...]]], note: str
) -> Table:
    return Table(title, head, tuple((model, tuple(rows[model])) for model in results.models), note)
