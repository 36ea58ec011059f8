"""From a run's records to its results."""

from __future__ import annotations

from collections.abc import Iterable

from multiplex.bench.plan.manifest import Manifest
from multiplex.bench.store.records import Record
from multiplex.errors import UsageError
from multiplex.survey.collected import SurveyAnswers, collect
from multiplex.survey.countries import find_country
from multiplex.survey.data import Survey, shared
from multiplex.survey.plan import VOICED
from multiplex.survey.results import Identification, Profile, Replies, Results
from multiplex.survey.standings import baselines, conditions, contrasts, kinds_of, standings
from multiplex.survey.voices import (
    country_profiles,
    human_ceiling,
    nearest_countries,
    persona_profiles,
    places,
    spreads,
    stability,
    why_unmeasured,
)

SEED = 7


def analyse(
    records: Iterable[Record], people: Survey, manifest: Manifest | None = None, *, seed: int = SEED
) -> tuple[Results, SurveyAnswers, Survey]:
    """The results of a run, the answers they rest on, and the survey restricted to what was asked.

    `manifest` tells which voices another model spoke.

    Raises:
        UsageError: no unit is done, or the run has no question of the survey.
    """
    voiced = [n.removeprefix(VOICED) for n in (manifest.survey if manifest else ()) if n.startswith(VOICED)]
    collected = collect(records, voiced, next(iter(manifest.models), "") if manifest else "")
    if not collected.answers:
        raise UsageError(f"{people.name}: no unit is done yet, so there is nothing to report; run the survey first")
    asked = {name for answers in collected.answers.values() for name in answers.asked}
    survey = people.restricted(shared(people, sorted(asked)))
    collected = collected.restricted(survey.by_id)
    strange = sorted(asked - set(survey.by_id))
    left_out = [f"asked, but not in {people.name}, and left out: {', '.join(strange)}"] if strange else []
    ceiling, people_nearest = human_ceiling(survey)
    by_model = {}
    found_standings, found_profiles, found_ids = [], list[Profile](), list[Identification]()
    near = []
    for model in collected.models:
        found = conditions(collected, survey, model)
        pairs = [pair for condition in found.values() for pair in condition.shares]
        pairs += [(q, c) for each in found.values() for c, chosen in each.points for q in chosen]
        based = baselines(survey, [(q, c) for q, c in pairs if c in survey.shares.get(q, {})])
        by_model[model] = (found, based)
        found_standings += standings(survey, model, found, based, seed)
        for own, identified in (
            *(persona_profiles(survey, collected, model, number, ceiling) for number in collected.rounds(model)),
            *(country_profiles(survey, collected, model, kind, ceiling) for kind in ("country", "forecast")),
        ):
            found_profiles += own
            if identified is not None:
                found_ids.append(identified.model_copy(update={"people": people_nearest}))
        near += nearest_countries(survey, found.get("plain"), model)
    results = Results(
        survey=people.name,
        method=", ".join(sorted(collected.methods)),
        questions=len(survey.questions),
        countries=survey.countries,
        done=collected.done,
        failed=collected.failed,
        pending=collected.pending,
        models=tuple(collected.models),
        replies=tuple(_replies(collected)),
        standings=tuple(found_standings),
        contrasts=tuple(contrasts(survey, by_model, seed)),
        profiles=tuple(found_profiles),
        ceiling=ceiling,
        identification=tuple(found_ids),
        spreads=tuple(each for model in collected.models for each in spreads(survey, collected, model)),
        stability=tuple(each for model in collected.models for each in stability(survey, collected, model)),
        near=tuple(near),
        places={model: tuple(places(survey, collected, model)) for model in collected.models},
        unmeasured=_unmeasured(collected, survey),
        notes=(*people.notes, *left_out, *(f"{times:,} replies: {note}" for note, times in collected.notes.items())),
    )
    return results, collected, survey


def _replies(collected: SurveyAnswers) -> list[Replies]:
    found = []
    for model in collected.models:
        for kind, name, number in kinds_of(collected, model):
            every = [answers for _, answers in collected.of(model, kind, number)]
            if not every:
                continue
            counts = [answers.counts() for answers in every]
            readable, refused, unreadable = (sum(column) for column in zip(*counts, strict=True))
            outside = [value for answers in every if (value := answers.outside()) is not None]
            mean = sum(outside) / len(outside) if outside else None
            found.append(
                Replies(model=model, kind=name, readable=readable, refused=refused, unreadable=unreadable, outside=mean)
            )
    return found


def _unmeasured(collected: SurveyAnswers, survey: Survey) -> dict[str, str]:
    """Perspectives of the council that no country of the survey belongs to, and why nothing is said of them."""
    there = {find_country(code).perspective for code in survey.countries}
    asked = {answers.perspective for answers in collected.answers.values() if answers.perspective is not None}
    return {perspective: why_unmeasured(perspective) for perspective in sorted(asked) if perspective not in there}
