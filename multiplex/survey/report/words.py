"""What a survey's report says in words: whose answers the voices resemble, how far from people, and what limits it."""

from __future__ import annotations

from multiplex.bench.report.tables import plain
from multiplex.present.numbers import number
from multiplex.survey.countries import find_country
from multiplex.survey.results import Profile, Results

QUESTION = "Do the voices answer like the people they are named after?"
LIMITS = (
    "The voices are editorial constructions voiced by a model; they represent no people, however close they come.",
    "Published survey results may be part of what a model was trained on: closeness may be memory.",
    "Closeness to people's distributions is nearly used up by one answer for all countries; profiles, "
    "identification and "
    "the spread between voices tell more.",
    "Countries stand for perspectives here; people inside a country differ more than countries do.",
)


def headline(results: Results, model: str) -> str:
    """One sentence: whose answers the voices resemble, and how far they are from what people reach with each other."""
    personas = first_round(results, model)
    measured = [p for p in personas if p.r is not None]
    near = next((each for each in results.near if each.model == model), None)
    like = f"Asked plainly, it answers most like people in {find_country(near.country).name}. " if near else ""
    if not measured:
        why = "no persona's profile can be measured"
        if not personas:
            some = any(each.kind == "personas" for each in results.replies if each.model == model)
            why = "a profile needs the answers of two personas" if some else "no persona answered"
        return f"{like}Whose profile the voices have is left open: {why}."
    mean = sum(p.r for p in measured if p.r is not None) / len(measured)
    known = [p.ceiling for p in measured if p.ceiling is not None]
    far = ", and no human ceiling can be had from this survey"
    if known:
        reached = number(sum(known) / len(known), ".2f")
        far = f", where people of one country reach {reached} with the others of their perspective"
    agree = f"Its voices' profiles agree with their own people's at r = {number(mean, '.2f')} on average"
    return f"{like}{agree}{far}; {_own(measured)}."


def first_round(results: Results, model: str) -> list[Profile]:
    """The personas' profiles before they heard each other."""
    return [p for p in results.profiles if p.model == model and p.name.startswith("persona:") and p.round == 1]


def _own(measured: list[Profile]) -> str:
    own = sum(find_country(p.nearest).perspective == p.perspective for p in measured if p.nearest is not None)
    best = max(measured, key=lambda p: p.r if p.r is not None else -2)
    return (
        f"{own} of {len(measured)} stand nearest a country of their own perspective (the closest: "
        f"{plain(best.perspective or '')}, r = {number(best.r, '.2f')})"
    )


def summary(results: Results) -> str:
    """How much was asked, of whom, and how."""
    failed = sum(results.failed.values())
    more = [f"{failed:,} failed ({', '.join(results.failed)})"] if failed else []
    more += [f"{results.pending:,} pending"] if results.pending else []
    return (
        f"{results.survey}: {results.questions:,} questions, people of {len(results.countries)} countries, method "
        f"{results.method or 'none'}; {results.done:,} units done{', ' + ', '.join(more) if more else ''}."
    )


def unmeasured(results: Results) -> list[str]:
    """Perspectives of which nothing can be said."""
    return [f"{plain(name)}: {why}" for name, why in results.unmeasured.items()]
