"""What `multiplex score` prints: a line or a JSON object for each text, and the summary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from multiplex.evaluation.extraction.agreement import Agreement
from multiplex.evaluation.extraction.facets import AXES
from multiplex.evaluation.extraction.references import Reference
from multiplex.evaluation.languages.reading import not_read
from multiplex.evaluation.languages.recognition import language_name
from multiplex.evaluation.measures import Measures
from multiplex.evaluation.scorer import Scored, Unread
from multiplex.evaluation.statistics.resampling import LEAST_BIASED, LEAST_FREEDOM
from multiplex.evaluation.statistics.summary import WEIGHTINGS, Estimate, Summary
from multiplex.present import depth
from multiplex.present.depth import READING
from multiplex.present.frames import SpreadTally, rows
from multiplex.text.console import make_table, print_table
from multiplex.text.terminal import one_line

INTERVALS = (
    f"none for fewer than {LEAST_FREEDOM + 1}. Those of a micro average ({LEAST_BIASED + 1} or more), and of the "
    "number made of it, are corrected for the bias of few references, so the figure itself may lie below its own."
)
_SHOWN = ("start", "end", "text", "entity", "perspective", "cue", "score", "echo", "sentence")


def as_object(scored: Scored, *, grouped: bool = False) -> dict[str, Any]:
    """One text as the object that `--json` prints."""
    passage, of = scored.passage, scored.measures
    made: dict[str, Any] = {"id": passage.id}
    if grouped:
        made["group"] = passage.group
    made["reference_count"] = of.n
    made["references"] = [_reference(each) for each in of.references]
    figures = of.model_dump(mode="json", exclude={"references", "frame", "cues"})
    made |= figures
    if not passage.prompt:
        del made["entropy_unprompted"]
    if of.sentiment is not None:
        made["sentiment_label"] = max(figures["sentiment"], key=figures["sentiment"].__getitem__)
    if scored.judged is not None:
        made["judge"] = [_reference(each) for each in scored.judged]
        made["differences"] = [
            {"sentence": each.sentence, "perspective": each.perspective, "who": each.who} for each in scored.differences
        ]
    if scored.discarded is not None:
        made["discarded"] = scored.discarded
    return made


def unread_object(unread: Unread, *, grouped: bool = False) -> dict[str, Any]:
    """A text that was not read as the object that `--json` prints: its figures are null, `unread` says why."""
    own = ("frame", "frame_name", "cues", "references")
    figures = {name: None for name in Measures.model_fields if name not in own}
    made: dict[str, Any] = {"id": unread.passage.id}
    if grouped:
        made["group"] = unread.passage.group
    made |= {"reference_count": None, "references": None} | figures
    return made | {
        "language": unread.reading.language or None,
        "unread": dict(unread.reading.why_not),
        "unread_sentences": dict(unread.reading.unread),
    }


def unread_line(unread: Unread) -> str:
    """A text that was not read as a line."""
    reading = unread.reading
    return f"{one_line(unread.passage.id)}  not read  {_language(reading.language, dict(reading.why_not))}"


def _language(code: str, why_not: Mapping[str, str]) -> str:
    """What is not measured of a text in another language, in brackets; nothing for one that is wholly read."""
    if "names" in why_not:
        return f"[{language_name(code)}: {why_not['names']}]"
    return f"[{language_name(code)}; {', '.join(why_not)} not read]" if why_not else ""


def language_notes(summary: Summary) -> list[str]:
    """In how many texts what was not measured for their language; nothing where all were read wholly."""
    notes = not_read(summary.unread, summary.texts + summary.left_out)
    if summary.left_out:
        notes.append(f"{summary.left_out:,} texts that are not read are in no figure.")
    return notes


def _reference(reference: Reference) -> dict[str, Any]:
    facets = {axis: list(values) for axis in AXES if (values := getattr(reference.facets, axis))}
    return {name: getattr(reference, name) for name in _SHOWN} | {"score": round(reference.score, 4), "facets": facets}


def as_line(scored: Scored) -> str:
    """One text as a line: its id, references, entropy, depth, shares from the largest on, tone."""
    of = scored.measures
    if of.n:
        found = f"n={of.n}  entropy {of.entropy:.1f}%  depth {depth.shown(of.depth, 'depth')}  " + ", ".join(
            f"{name} {share:.0%}" for name, share in sorted(of.shares.items(), key=lambda item: -item[1]) if share
        )
    else:
        found = "n=0  no reference"
    others = "".join(
        f"  {one_line(each.frame_name)} n={each.n}" + ("" if each.entropy is None else f" {each.entropy:.1f}%")
        for each in of.beside
    )
    language = _language(of.language, of.unread)
    return f"{one_line(scored.passage.id)}  {found}{others}{_tone(of)}" + (f"  {language}" if language else "")


def _tone(of: Measures) -> str:
    tone = of.sentiment
    return f"  tone {tone.positive:.2f} / {tone.neutral:.2f} / {tone.negative:.2f}" if tone else ""


def print_summary(console: Console, summary: Summary, title: str = "") -> None:
    """The figures over all texts, each with its interval."""
    unit = "texts" if summary.texts > 1 else "text"
    counted = (
        f"{summary.texts:,} {unit}, {summary.references:,} {'references' if summary.references != 1 else 'reference'}"
    )
    head = make_table(["", counted], padding=(0, 1), title=title or None, title_justify="left")
    for label, estimate, scale, unit in (
        ("texts with a reference", summary.with_reference, 100, "%"),
        ("perspectives in five references", summary.expected_perspectives_mean, 1, ""),
        ("excluded perspectives", summary.excluded, 100, "%"),
        ("Berger-Parker (largest share)", summary.berger_parker, 100, "%"),
        ("out of frame", summary.out_of_frame, 100, "%"),
        ("references per 100 words", summary.per_100_words, 1, ""),
    ):
        head.add_row(label, shown(estimate, scale, unit))
    for name, figure in depth.LABELS.items():
        head.add_row(figure.name, shown(summary.depth[name], figure.scale, figure.unit))
    for tone, estimate in (summary.sentiment or {}).items():
        head.add_row(f"tone: {tone}", shown(estimate, 1))
    print_table(console, head)
    console.print()
    for note in language_notes(summary):
        console.print(Text(note, "yellow"))
    print_table(console, _weightings(summary))
    if summary.stance:
        stance = make_table(["stance", "positive", "neutral", "negative"], padding=(0, 1))
        for perspective, tones in summary.stance.items():
            stance.add_row(perspective, *(shown(tones[tone], 1) for tone in ("positive", "neutral", "negative")))
        console.print("")
        print_table(console, stance)


def _weightings(summary: Summary) -> Table:
    table = make_table(["in percent", *(f"by {weighting}" for weighting in WEIGHTINGS)], padding=(0, 1))
    each = [summary.weightings[weighting] for weighting in WEIGHTINGS]
    table.add_row("entropy, macro", *(shown(of.macro, 1, form=".1f") for of in each))
    table.add_row("entropy, macro0", *(shown(of.macro0, 1, form=".1f") for of in each))
    table.add_row("entropy, micro", *(shown(of.micro, 1, form=".1f") for of in each))
    table.add_row(
        "… its bias, standard error",
        *(f"{of.jackknife.bias:+.1f}, {of.jackknife.standard_error:.1f}" if of.jackknife else "–" for of in each),
    )
    table.add_row("Hill number (order 1)", *(shown(of.hill_number, 1) for of in each))
    for name in summary.frame:
        table.add_row(name, *(shown(of.shares[name], 100, form=".1f") for of in each))
    return table


def shown(estimate: Estimate, scale: float, unit: str = "", form: str = "") -> str:
    """A figure with its interval in brackets; a dash where it does not exist."""
    if estimate.value is None:
        return "–"
    form = form or (".1f" if unit else ".2f")
    text = f"{estimate.value * scale:{form}}{unit}"
    if estimate.low is None or estimate.high is None:
        return text
    return f"{text} [{estimate.low * scale:{form}}, {estimate.high * scale:{form}}]"


def print_agreement(console: Console, agreement: Agreement) -> None:
    """Krippendorff's alpha per perspective, and how often only one extractor sees a reference."""
    first, second = agreement.names
    head = ("agreement by sentence", "alpha", "both", f"only {first}", f"only {second}", "neither")
    table = make_table(head, padding=(0, 1))
    for name, of in (*agreement.perspectives.items(), ("all", agreement.overall)):
        alpha = of.undefined if of.alpha is None else f"{of.alpha:.2f}"
        counts = (of.counts.both, of.counts.first, of.counts.second, of.counts.neither)
        table.add_row(name, alpha, *(f"{count:,}" for count in counts))
    print_table(console, table)


def print_frames(console: Console, spreads: SpreadTally) -> None:
    """The texts under each frame, side by side; nothing where there was one."""
    figures = spreads.figures
    if not figures:
        return
    groups = list(next(iter(figures.values())))
    table = make_table(["mean entropy (references)", *(spreads.label(group) for group in groups)], padding=(0, 1))
    for name, cells in rows(figures, groups):
        table.add_row(name, *cells)
    console.print("")
    print_table(console, table)
    for line in spreads.lines():
        console.print(Text(line, "dim"), soft_wrap=True)


def notes(summary: Summary) -> str:
    """How to read the figures, and over what they are taken."""
    line = f"{READING} Frame {summary.frame_name}: {', '.join(summary.frame)}; cues: {', '.join(summary.cues)}."
    return line + (f" Brackets: 95% bootstrap intervals over texts; {INTERVALS}" if summary.texts > 1 else "")


def as_summary(
    summaries: Mapping[str, Summary],
    agreement: Agreement | None,
    texts: Mapping[str, int],
    unread_groups: Mapping[str, Mapping[str, Mapping[str, int]]],
    spreads: SpreadTally,
) -> dict[str, Any]:
    """The summaries as plain data: the one over all texts under `all`, those of groups under `groups`.

    A group of which no text is read is null under `groups`, and `unread_groups` counts its languages. `frames` are the
    mean entropy and the references by frame and group (by `all` without groups), where there are several frames.
    """
    groups: dict[str, Any] = {name: summary.model_dump(mode="json") for name, summary in summaries.items() if name}
    made: dict[str, Any] = {"all": summaries[""].model_dump(mode="json") if "" in summaries else None}
    if unread_groups:
        groups |= dict.fromkeys(unread_groups)
        made["unread_groups"] = {name: dict(of) for name, of in unread_groups.items()}
    if groups:
        made["groups"] = groups
    if agreement is not None:
        made["agreement"] = agreement.summary()
    if spreads.figures:
        made["frames"] = {
            name: {group if group or len(of) > 1 else "all": figure._asdict() for group, figure in of.items()}
            for name, of in spreads.figures.items()
        }
        made["depends_on_frame"] = spreads.lines()
    return made | {"rows": dict(texts)}
