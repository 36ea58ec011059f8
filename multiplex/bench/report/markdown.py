"""What a report says in words, and the report as Markdown (`report.md`): the claim, its limits, every table."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from multiplex.bench.analysis.model import Analysis, SuperiorityClaim
from multiplex.bench.analysis.published import Paper
from multiplex.bench.analysis.ratings import Ratings
from multiplex.bench.plan.manifest import Manifest
from multiplex.bench.plan.units import CONTROLS
from multiplex.bench.report import contrast_tables as evidence
from multiplex.bench.report import frame_tables, language_tables, tables
from multiplex.bench.report import rating_tables as rating_tables
from multiplex.bench.report.tables import Table
from multiplex.present.result import CONSTRUCTIONS
from multiplex.text.markdown import escape_markdown

QUESTION = "Does the multiplex answer spread over more perspectives than every control?"
STRATEGIES: Mapping[str, str] = {
    "multiplex": "one persona a perspective answers, and one answer is made of what they say",
    "uniplex": "the model is simply asked",
    "contextual": "one call whose instructions describe multiplexity",
    "checklist": "one call told to mention every perspective, as long as the multiplex answer",
    "solo-council": "one call that plays all personas and makes one answer of them",
    "uniplex-long": "the model is simply asked, for as many words as the multiplex answer has",
    "echo-council": "one persona as often as the council has seats, put together in the same way",
    "blank-council": "as many calls without any persona, put together in the same way",
}
VERDICTS = {True: "Yes, against every control", False: "No, not against every control", None: "Left open"}


_MINUS = re.compile(r"(?<![\w-])-(?=\d)")


@dataclass(frozen=True)
class Section:
    """A part of the report; `anchor` is what links point to, `lists` are a lead and what is listed under it."""

    anchor: str
    title: str
    tables: tuple[Table, ...]
    lists: tuple[tuple[str, tuple[str, ...]], ...] = ()


def verdict(claim: SuperiorityClaim) -> str:
    """The claim's outcome in three or four words."""
    return VERDICTS[claim.holds]


def lede(analysis: Analysis) -> str:
    """What is measured, and its gravest limit."""
    return (
        f"Measured by entropy: how evenly the references of an answer fall on {len(analysis.frame)} perspectives, in "
        "percent. It counts which cultures are named, not whether any is understood; depth, beside it, says "
        "how far an answer goes beyond naming."
    )


def describe_claim(claim: SuperiorityClaim) -> str:
    """The claim in words, without the model's name before it."""
    text = claim.text.removeprefix(f"{claim.model}: ")
    return _MINUS.sub("−", text[:1].upper() + text[1:])


def compared(claim: SuperiorityClaim, analysis: Analysis) -> str:
    """What the claim rests on: what was compared, and what was not."""
    parts = []
    primary = [each for each in analysis.contrasts if each.primary and each.model == claim.model]
    if counts := [each.questions for each in primary]:
        over = f"{min(counts):,} to {max(counts):,}" if min(counts) < max(counts) else f"{counts[0]:,}"
        parts.append(
            f"Compared on {over} questions that both answered, with: {', '.join(each.strategy for each in primary)}."
        )
    if missing := [name for name in CONTROLS if name in claim.absent and name not in claim.text]:
        parts.append(f"Controls that were not run: {', '.join(missing)}.")
    if claim.flipping:
        parts.append(f"It comes out otherwise without: {', '.join(claim.flipping)}.")
    return " ".join(parts)


def limits(analysis: Analysis, beside: Sequence[Analysis] = ()) -> list[str]:
    """What the figures do not mean, in plain words, the gravest first; where the outcome depends on the frame."""
    questions = max((each.questions for each in analysis.contrasts if each.primary), default=analysis.questions)
    lines = [
        "The figure counts how evenly an answer names cultures, and a council is told to name them. A higher one does "
        "not mean that any of them is understood, rightly told or fairly treated; 100% is a convention, not an ideal.",
        CONSTRUCTIONS,
        f"The outcome is that of {_many(len(analysis.models), 'one model', '{} models')} and "
        f"{_many(questions, 'one question', '{} questions')}. The intervals say how far figures would move "
        "over questions like these; they say nothing of other models, prompts or languages.",
        losses(analysis),
        *frame_tables.depends(analysis, beside),
    ]
    if analysis.reliability is None:
        lines.append("How well the extractor sees each perspective of this frame was not measured.")
    elif analysis.reliability.corrects:
        lines.append(analysis.reliability.note)
    return [*lines, *language_tables.limit(analysis)]


def strategies(analysis: Analysis) -> list[tuple[str, str]]:
    """What each strategy of the run does."""
    return [(name, words) for name, words in STRATEGIES.items() if name in analysis.strategies]


def losses(analysis: Analysis) -> str:
    """What is missing from the run, in one sentence."""
    lost = sum(condition.short for condition in analysis.conditions)
    unscored = sum(condition.unscored for condition in analysis.conditions)
    wordless = sum(condition.wordless for condition in analysis.conditions)
    unread = sum(sum(condition.unread.get("names", {}).values()) for condition in analysis.conditions)
    missing = [
        f"{count:,} {what}"
        for count, what in (
            (analysis.failed, "failed"),
            (analysis.pending, "pending"),
            (unscored, "not measured yet"),
            (wordless, "without a word to measure"),
            (unread, "in a language that is not read"),
        )
        if count
    ]
    of = (
        f"Of {analysis.units:,} units: {', '.join(missing)}"
        if missing
        else f"All {analysis.units:,} units were answered"
    )
    if not lost:
        return f"{of}, and no voice was lost."
    return f"{of}; {_many(lost, 'one answer lacks', '{} answers lack')} at least one voice."


def _many(count: int, one: str, more: str) -> str:
    return one if count == 1 else more.format(f"{count:,}")


def frame_line(analysis: Analysis) -> str:
    """Over what, and by what, references are counted."""
    frame = ", ".join(tables.plain(name) for name in analysis.frame)
    return f"Frame {analysis.frame_name}: {frame}. Cues: {', '.join(analysis.cues)}."


def sections(
    analysis: Analysis,
    papers: Sequence[Paper],
    manifest: Manifest | str,
    scoring: str,
    ratings: Ratings | None = None,
    beside: Sequence[Analysis] = (),
) -> list[Section]:
    """Every table of the report in the order of reading; readers' ratings, where there are any, stand first."""
    domains = evidence.parted(analysis, "By domain", lambda condition: condition.domains)
    cued = evidence.parted(
        analysis, "Questions that name a culture, and those that do not", lambda condition: condition.cued
    )
    return [
        *([] if ratings is None else [_ratings(analysis, ratings)]),
        Section("contrasts", "Is it more than the others?", _there(
            evidence.contrasts(analysis, primary=True), evidence.left_out(analysis),
            evidence.contrasts(analysis, primary=False))),
        *([Section("frames", "Under other frames", _there(frame_tables.by_frame(analysis, beside)),
                   (("Where the outcome depends on the frame:", frame_tables.depends(analysis, beside)),))]
          if beside else []),
        Section("entropy", "Entropy and depth", _there(
            tables.entropy(analysis), tables.depth(analysis), tables.spread(analysis), tables.weightings(analysis),
            domains, cued)),
        Section("shares", "Shares", _there(
            tables.shares(analysis), tables.corrected(analysis), tables.shares(analysis, "presence"),
            tables.shares(analysis, "words"), evidence.reliability(analysis))),
        *([Section("languages", "Languages", (language_tables.entropy(analysis), language_tables.shares(analysis)))]
          if analysis.languages else []),
        Section("tone", "Tone", _there(tables.tone(analysis), tables.stance(analysis))),
        Section("voices", "Voices and their names", _there(
            evidence.councils(analysis), evidence.label_permutations(analysis))),
        Section("cost", "Units and cost", _there(tables.run(analysis), tables.cost(analysis))),
        Section("published", "What the papers report", _there(evidence.beside(analysis, papers)),
                tuple(map(_unknown, papers))),
        Section("made", "How it was made", _there(_made(analysis, manifest, scoring)),
                (("What a reader should know of these figures:", analysis.notes),) if analysis.notes else ()),
    ]  # fmt: skip


def _ratings(analysis: Analysis, ratings: Ratings) -> Section:
    entropy = {
        (condition.model, condition.strategy): condition.primary
        for condition in analysis.conditions
        if condition.measured
    }
    made = rating_tables.make_tables(ratings, entropy)
    return Section("ratings", "Readers' ratings, beside entropy", made, rating_tables.false_claims(ratings))


def _there(*found: Table | None) -> tuple[Table, ...]:
    return tuple(table for table in found if table is not None)


def _unknown(paper: Paper) -> tuple[str, tuple[str, ...]]:
    lead = f"{paper.paper}. {paper.authors}. {paper.source} ({paper.url})."
    return " ".join([lead, *paper.known, "Not known of its figures:"]), paper.unknown


def _made(analysis: Analysis, manifest: Manifest | str, scoring: str) -> Table:
    rows = [
        ("frame", f"{analysis.frame_name} ({', '.join(analysis.frame)})"),
        ("cues", ", ".join(analysis.cues)),
        ("scoring", f"{analysis.scoring} {_flat(scoring)}".strip()),
        ("intervals", f"95%, {analysis.resamples:,} resamples of questions within each domain, seed {analysis.seed}"),
        ("tests", f"{analysis.permutations:,} permutations, alpha {analysis.alpha:g}, Holm over models"),
    ]
    if isinstance(manifest, str):  # why it cannot be read, or nothing
        rows += [("how the answers were made", manifest)] if manifest else []
    else:
        rows += [
            ("questions", manifest.questions),
            ("begun", manifest.created),
            ("council", ", ".join(manifest.council)),
            ("seed, rounds, plan", f"{manifest.seed}, {manifest.rounds}, {manifest.plan}"),
            ("voices needed", str(manifest.min_voices)),
            ("versions", _listed(manifest.versions)),
            ("prompts", _listed({name: digest[:12] for name, digest in manifest.prompts.items()})),
            ("personas", _listed({name: digest[:12] for name, digest in manifest.personas.items()})),
        ]
        for name, of in manifest.models.items():
            set_ = {key: str(value) for key, value in of.model_dump().items() if value is not None}
            rows.append(
                (f"model {name}, as asked for", f"{_listed(set_)} (what its endpoint refused: notes of the answers)")
            )
    return Table("Settings", ("", ""), (("", tuple(rows)),), folded=True)


def _listed(of: dict[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in of.items())


def _flat(scoring: str) -> str:
    """A scoring's description, which is JSON, as a line."""
    try:
        found = json.loads(scoring) if scoring else {}
    except ValueError:
        return scoring
    if not isinstance(found, dict):
        return scoring
    return "(" + "; ".join(f"{name}: {_item(value)}" for name, value in found.items()) + ")" if found else ""


def _item(value: object) -> str:
    if isinstance(value, dict):  # a frame, of which the name is enough: its perspectives stand above
        return str(value.get("name", "…"))
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def as_markdown(analysis: Analysis, parts: Sequence[Section], title: str, beside: Sequence[Analysis] = ()) -> str:
    """The report without its plots and units."""
    lines = [f"# {escape_markdown(title)}", f"{QUESTION} {lede(analysis)}"]
    for claim in analysis.claims:
        lines.append(f"**{escape_markdown(claim.model)}: {verdict(claim)}.** {escape_markdown(describe_claim(claim))}")
        lines.append(escape_markdown(compared(claim, analysis)))
    lines.append(markdown_table(tables.first(analysis)))
    lines += ["## What it does not mean", "\n".join(f"- {escape_markdown(line)}" for line in limits(analysis, beside))]
    lines += ["## The strategies", "\n".join(f"- {name}: {words}." for name, words in strategies(analysis))]
    lines.append(frame_line(analysis))
    for part in parts:
        lines.append(f"## {part.title}")
        lines += [markdown_table(table) for table in part.tables]
        for lead, listed in part.lists:
            lines += [escape_markdown(lead), "\n".join(f"- {escape_markdown(line)}" for line in listed)]
    return "\n\n".join(line for line in lines if line) + "\n"


def markdown_table(table: Table) -> str:
    """A table under its title."""
    named = sum(1 for _, rows in table.groups if rows) > 1
    head = (*(["model"] if named else []), *table.head)
    lines = [_row(head), "|---|" + "---:|" * (len(head) - 1)]
    for name, rows in table.groups:
        lines += [_row((*([name] if named else []), *row)) for row in rows]
    note = f"\n\n{escape_markdown(table.note)}" if table.note else ""
    return f"### {escape_markdown(table.title)}\n\n" + "\n".join(lines) + note


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(escape_markdown(cell) for cell in cells)} |"
