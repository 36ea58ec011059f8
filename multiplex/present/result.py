"""A result in the forms it leaves in: the JSON contract, the full record, a Markdown or HTML document."""

from __future__ import annotations

import json
from typing import Any

from multiplex.answering import Measured, Result
from multiplex.council.answer import Answer
from multiplex.council.locales import ENGLISH, locale_of
from multiplex.council.strategies import voice_notes
from multiplex.evaluation import Retention
from multiplex.llm.usage import shown_tokens
from multiplex.present import depth
from multiplex.present.frames import By, FrameFigure, dependence, of_measures, rows
from multiplex.present.numbers import number
from multiplex.present.stance import as_object
from multiplex.text.terminal import escape_json

CONSTRUCTIONS = locale_of(ENGLISH).say("constructions")


def contract(result: Result) -> dict[str, Any]:
    """The object that `--json` prints."""
    printed: dict[str, Any] = {
        "question": result.question,
        "seed": result.seed,
        "frame": list(result.frame),
        "frame_name": result.frame_name,
        "answers": {strategy: _contract_answer(each) for strategy, each in result.answers.items()},
    }
    if result.failed:
        printed["failed"] = dict(result.failed)
        printed["spoken"] = [
            voice.model_dump(include={"persona", "perspective", "text", "seconds", "usage"}) for voice in result.spoken
        ]
    return printed


def _contract_answer(each: Measured) -> dict[str, Any]:
    answer = each.answer
    return {
        "text": answer.text,
        "model": answer.model,
        "voices": [
            voice.model_dump(include={"persona", "perspective", "text", "error", "seconds", "usage", "asks"})
            | {"positions": [cited.id for cited in voice.positions]}
            | ({} if voice.choice is None else {"stance": as_object(voice.choice)})
            for voice in answer.voices
        ],
        "lost": list(answer.lost),
        "notes": list(answer.notes),
        **({} if answer.form is None else _of_council(answer)),
        "usage": answer.usage.model_dump(),
        "seconds": answer.seconds,
        "measures": each.measures.summary() if each.measures else None,
    }


def _of_council(answer: Answer) -> dict[str, Any]:
    findings = [finding.model_dump() for finding in answer.findings]
    return {"form": answer.form, "check": answer.check, "findings": findings}


def as_json(result: Result) -> str:
    """The contract as JSON text."""
    return escape_json(json.dumps(contract(result), ensure_ascii=False, indent=2))


def as_record(result: Result) -> str:
    """Everything known of the result as JSON text: the contract, references, scaffold, rounds, models."""
    whole = contract(result)
    for strategy, each in result.answers.items():
        answer, printed = each.answer, whole["answers"][strategy]
        if answer.form is not None:
            printed["harms"] = [harm.model_dump() for harm in answer.harms]
        printed["scaffold"] = [list(span) for span in answer.scaffold]
        printed["quoted"] = [list(span) for span in answer.quoted]
        printed["rounds"] = [voice.model_dump() for voice in answer.rounds]
        printed["prompt"] = answer.prompt
        if each.measures:
            printed["measures"] = each.measures.model_dump(mode="json") | each.measures.summary()
            printed["measures"]["found"] = each.measures.model_dump(mode="json")["references"]
        if each.retention:
            printed["retention"] = printed["kept"] = each.retention.model_dump(mode="json")
        if each.leave_one_out:
            without = {name: made.model_dump(mode="json") for name, made in each.leave_one_out.items()}
            printed["leave_one_out"] = printed["nulls"] = without
    whole |= {
        "language": result.language,
        "models": result.models,
        "version": result.version,
        "created": result.created,
    }
    return escape_json(json.dumps(whole, ensure_ascii=False, indent=2))


def comparison(result: Result) -> list[tuple[str, list[str]]]:
    """The rows of the comparison: a label, then a value per strategy in the order of `result.answers`.

    Where the answers were measured over several frames, a row each says entropy and references there.
    """
    answers = list(result.answers.values())
    table = [(label, [show(each) for each in answers]) for label, show in _ROWS]
    others = dict(rows(frame_figures(result), list(result.answers))[1:])
    return table + [(f"entropy (references), {name}", cells) for name, cells in others.items()]


def frame_figures(result: Result) -> By:
    """The measured answers by frame and strategy."""
    made: dict[str, dict[str, FrameFigure]] = {}
    for strategy, each in result.answers.items():
        for name, figure in (of_measures(each.measures) if each.measures else {}).items():
            made.setdefault(name, {})[strategy] = figure
    return made


def _measure(name: str, form: str, unit: str = "", scale: float = 1.0) -> Any:
    def show(each: Measured) -> str:
        value = getattr(each.measures, name) if each.measures else None
        return number(None if value is None else value * scale, form, unit)

    return show


def _depth(name: str) -> Any:
    return lambda each: depth.shown(each.measures.depth if each.measures else None, name)


def _tone(each: Measured) -> str:
    tone = each.measures.sentiment if each.measures else None
    if tone is None:
        return "–"
    return f"{tone.positive:.2f} / {tone.neutral:.2f} / {tone.negative:.2f}"


def _own(each: Measured) -> str:
    """References and entropy outside what stands so in the sourcebook."""
    if each.measures is None or each.measures.n_own is None:
        return "–"
    return f"{number(each.measures.entropy_own, '.1f', '%')} ({each.measures.n_own})"


def _tokens(each: Measured) -> str:
    return shown_tokens(each.answer.usage)


_ROWS = (
    ("references (n)", _measure("n", ".0f")),
    ("entropy", _measure("entropy", ".1f", "%")),
    *((label.name, _depth(name)) for name, label in depth.LABELS.items()),
    ("entropy without names from the prompts", _measure("entropy_unprompted", ".1f", "%")),
    ("entropy in the model's own words (n)", _own),
    ("Hill number (order 1)", _measure("hill_number", ".2f")),
    ("excluded perspectives", _measure("excluded", ".0f", "%", 100)),
    ("Berger-Parker (largest share)", _measure("berger_parker", ".0f", "%", 100)),
    ("out of frame", _measure("out_of_frame", ".0f", "%", 100)),
    ("positive / neutral / negative", _tone),
    ("words", _measure("words", ".0f")),
    ("calls", lambda each: str(each.answer.usage.calls)),
    ("tokens", _tokens),
    ("seconds", lambda each: f"{each.answer.seconds:.1f}"),
)


def shares(result: Result) -> list[tuple[str, list[float | None]]]:
    """Per perspective of the frame its share in each answer, 0..1; None where an answer has no reference."""
    return [
        (
            perspective,
            [
                each.measures.shares[perspective] if each.measures and each.measures.n else None
                for each in result.answers.values()
            ],
        )
        for perspective in result.frame
    ]


def retention_rows(retention: Retention) -> list[list[str]]:
    """What the synthesis kept of each voice: a head, then a row a voice."""
    head = ["retention of the voice", retention.coverage.kind, "without it", "net", "extractiveness", "taken for"]
    rows = [head]
    for name, of in retention.coverage.perspectives.items():
        taken = retention.voice_attribution.predicted.get(name, "–") if retention.voice_attribution else "–"
        shown = [number(value, ".0%") for value in (of.share, of.without)]
        rows.append([name, *shown, number(of.net, ".2f"), number(of.extractiveness, ".0%"), taken])
    return rows


def retention_notes(each: Measured) -> list[str]:
    """The sums of that table, what it cost, and what it does not see; nothing where there is no table."""
    retention, further = each.retention, sum(made.usage.calls for made in each.leave_one_out.values())
    if retention is None:
        return []
    coverage = retention.coverage
    lines = [
        f"Mean {coverage.kind} {number(coverage.mean, '.0%')}, net {number(coverage.mean_net, '.2f')}, "
        f"evenness {number(coverage.evenness, '.2f')}, "
        f"homogeneity of the voices {number(retention.homogeneity, '.2f')}"
        + (f" ({retention.homogenisation:+.2f} by the last round)" if retention.homogenisation is not None else "")
        + "."
    ]
    for what, of in (
        ("voices", retention.voice_attribution),
        ("their parts of the synthesis", retention.part_attribution),
    ):
        if of is not None:
            lines.append(
                f"With names masked, {what} attributed rightly: {of.right} of {of.n} "
                f"(chance {of.chance:.0%}, p = {of.p:.2g}); {of.relative_right} with each perspective's mean "
                f"score taken off (p = {of.relative_p:.2g})."
            )
    if further:
        lines.append(f"The syntheses without a voice took {further} further calls.")
    if coverage.by_construction:
        lines.append("This synthesis copies its voices' sentences: its retention is near 100% by construction.")
    if coverage.kind == "overlap":
        lines.append("Overlap cannot tell a claim from its negation; neither sees under whose name a claim stands.")
    return lines


def warnings(result: Result) -> list[str]:
    """What a reader must know of this result: failed strategies, lost voices, notes."""
    say = locale_of(result.language).say
    lines = [say("failed", strategy=strategy, error=error) for strategy, error in result.failed.items()]
    for strategy, each in result.answers.items():
        locale = locale_of(each.answer.language)
        lost = [voice for voice in each.answer.voices if voice.error is not None]
        told = [locale.say("voice_lost", voice=locale.title(voice.title), error=voice.error) for voice in lost]
        lines += [f"{strategy}: {line}" for line in told]
        again = {note for voice in lost for note in voice_notes([voice], locale)}
        lines += [note for note in each.answer.notes if note not in again]
    return [*lines, *dependence(frame_figures(result))]


def closing(result: Result) -> str:
    """What the voices are, and the seed, in the reader's language."""
    locale = locale_of(result.language)
    return f"{locale.say('constructions')} {locale.say('seed', seed=result.seed)}"


def reading_order(result: Result) -> list[str]:
    """The strategies with the council's answer first, as it is what was asked for."""
    return sorted(result.answers, key=lambda strategy: strategy != "multiplex")
