"""A result in the forms it leaves in: the JSON contract, the full record, a Markdown or HTML document."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from multiplex.answering import Measured, Result
from multiplex.council.answer import Answer, Voice
from multiplex.council.names import fold, trace_names
from multiplex.errors import MultiplexError, UsageError
from multiplex.evaluation import Kept

CONSTRUCTIONS = (
    "The voices are editorial constructions, spoken by a language model and not reviewed by members of the "
    "traditions: they represent no people."
)
READING = (
    "Entropy is how evenly the references spread over the frame (100% = evenly; a convention, not an ideal). "
    "Few references bias it downward, so read it with their number. More positive is not better."
)
ENDINGS = (".json", ".md", ".html")


def contract(result: Result) -> dict[str, Any]:
    """The object that `--json` prints."""
    printed: dict[str, Any] = {
        "question": result.question,
        "seed": result.seed,
        "frame": list(result.frame),
        "answers": {strategy: _contract_answer(each) for strategy, each in result.answers.items()},
    }
    if result.failed:
        printed["failed"] = dict(result.failed)
        printed["spoken"] = [
            {name: voice[name] for name in ("persona", "perspective", "text", "seconds", "usage")}
            for voice in result.spoken
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
            for voice in answer.voices
        ],
        "lost": list(answer.lost),
        **({} if answer.form is None else {"findings": [finding.model_dump() for finding in answer.findings]}),
        "usage": answer.usage.model_dump(),
        "seconds": answer.seconds,
        "measures": each.measures.summary() if each.measures else None,
    }


def as_json(result: Result) -> str:
    """The contract as JSON text."""
    return json.dumps(contract(result), ensure_ascii=False, indent=2)


def as_record(result: Result) -> str:
    """Everything known of the result as JSON text: the contract, references, scaffold, rounds, models."""
    whole = contract(result)
    for strategy, each in result.answers.items():
        answer, printed = each.answer, whole["answers"][strategy]
        if answer.form is not None:
            printed |= {"form": answer.form, "check": answer.check}
            printed["harms"] = [harm.model_dump() for harm in answer.harms]
        printed["scaffold"] = [list(span) for span in answer.scaffold]
        printed["quoted"] = [list(span) for span in answer.quoted]
        printed["notes"] = list(answer.notes)
        printed["rounds"] = [voice.model_dump() for voice in answer.rounds]
        printed["prompt"] = answer.prompt
        if each.measures:
            printed["measures"] = each.measures.model_dump(mode="json") | each.measures.summary()
            printed["measures"]["found"] = each.measures.model_dump(mode="json")["references"]
        if each.kept:
            printed["kept"] = each.kept.model_dump(mode="json")
        if each.nulls:
            printed["nulls"] = {name: made.model_dump(mode="json") for name, made in each.nulls.items()}
    whole |= {"models": result.models, "version": result.version, "created": result.created}
    return json.dumps(whole, ensure_ascii=False, indent=2)


def comparison(result: Result) -> list[tuple[str, list[str]]]:
    """The rows of the comparison: a label, then a value per strategy in the order of `result.answers`."""
    answers = list(result.answers.values())
    return [(label, [show(each) for each in answers]) for label, show in _ROWS]


def _number(value: float | None, form: str, unit: str = "") -> str:
    return "–" if value is None else f"{value:{form}}{unit}"


def _measure(name: str, form: str, unit: str = "", scale: float = 1.0) -> Any:
    def show(each: Measured) -> str:
        value = getattr(each.measures, name) if each.measures else None
        return _number(None if value is None else value * scale, form, unit)

    return show


def _tone(each: Measured) -> str:
    tone = each.measures.sentiment if each.measures else None
    if tone is None:
        return "–"
    return f"{tone.positive:.2f} / {tone.neutral:.2f} / {tone.negative:.2f}"


def _own(each: Measured) -> str:
    """References and entropy outside what stands so in the sourcebook."""
    if each.measures is None or each.measures.n_own is None:
        return "–"
    return f"{_number(each.measures.entropy_own, '.1f', '%')} ({each.measures.n_own})"


def _tokens(each: Measured) -> str:
    usage = each.answer.usage
    if usage.input_tokens is None or usage.output_tokens is None:
        return "not reported"
    return f"{usage.input_tokens:,} in, {usage.output_tokens:,} out"


_ROWS = (
    ("references (n)", _measure("n", ".0f")),
    ("entropy", _measure("entropy", ".1f", "%")),
    ("… without names from the prompts", _measure("entropy_unprompted", ".1f", "%")),
    ("… in the model's own words (n)", _own),
    ("effective perspectives", _measure("effective", ".2f")),
    ("excluded perspectives", _measure("excluded", ".0f", "%", 100)),
    ("dominance (largest share)", _measure("dominance", ".0f", "%", 100)),
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


def kept_rows(kept: Kept) -> list[list[str]]:
    """What the synthesis kept of each voice: a head, then a row a voice."""
    head = ["kept of the voice", kept.coverage.kind, "without it", "net", "copied", "taken for"]
    rows = [head]
    for name, of in kept.coverage.perspectives.items():
        taken = kept.voices_told.predicted.get(name, "–") if kept.voices_told else "–"
        shown = [_number(value, ".0%") for value in (of.share, of.without)]
        rows.append([name, *shown, _number(of.net, ".2f"), _number(of.copied, ".0%"), taken])
    return rows


def kept_notes(each: Measured) -> list[str]:
    """The sums of that table, what it cost, and what it does not see; nothing where there is no table."""
    kept, further = each.kept, sum(made.usage.calls for made in each.nulls.values())
    if kept is None:
        return []
    coverage = kept.coverage
    lines = [
        f"Mean {coverage.kind} {_number(coverage.mean, '.0%')}, net {_number(coverage.mean_net, '.2f')}, "
        f"evenness {_number(coverage.evenness, '.2f')}, homogeneity of the voices {_number(kept.homogeneity, '.2f')}"
        + (f" ({kept.homogenisation:+.2f} by the last round)" if kept.homogenisation is not None else "")
        + "."
    ]
    for what, told in (("voices", kept.voices_told), ("their parts of the synthesis", kept.parts_told)):
        if told is not None:
            lines.append(
                f"With names masked, {what} told apart: {told.right} of {told.n} "
                f"(chance {told.chance:.0%}, p = {told.p:.2g}); {told.relative_right} with each perspective's mean "
                f"score taken off (p = {told.relative_p:.2g})."
            )
    if further:
        lines.append(f"The syntheses without a voice took {further} further calls.")
    if coverage.by_construction:
        lines.append("This synthesis copies its voices' sentences: what it kept is near 100% by construction.")
    if coverage.kind == "overlap":
        lines.append("Overlap cannot tell a claim from its negation; neither sees under whose name a claim stands.")
    return lines


def warnings(result: Result) -> list[str]:
    """What a reader must know of this result: failed strategies, lost voices, notes."""
    lines = [f"{strategy} failed: {error}" for strategy, error in result.failed.items()]
    for strategy, each in result.answers.items():
        lost = {voice.perspective: voice for voice in each.answer.voices if voice.error is not None}
        lines += [f"{strategy}: the {voice.title} voice was lost: {voice.error}" for voice in lost.values()]
        lines += [note for note in each.answer.notes if not any(note == f"{p}: {v.error}" for p, v in lost.items())]
    return lines


def as_markdown(result: Result, *, show_voices: bool = False) -> str:
    """The result as one Markdown document."""
    parts = [f"# {_escaped(' '.join(result.question.split()))}"]
    for strategy in reading_order(result):
        answer = result.answers[strategy].answer
        parts += [f"---\n\n*{strategy}, {answer.model}*", answer.text]
        if show_voices:
            parts += [_voice(voice.title, voice.text, voice.error) for voice in answer.voices]
        parts += [*_found(answer), *_harms(answer)]
    if show_voices and result.spoken:
        parts.append("---\n\n*The council gave no answer; this is what its voices had said.*")
        parts += [_voice(voice["title"], voice["text"], None) for voice in result.spoken]
    if result.answers:
        names = list(result.answers)
        table = [f"| | {' | '.join(names)} |", "|---|" + "---:|" * len(names)]
        table += [f"| {label} | {' | '.join(values)} |" for label, values in comparison(result)]
        table += [
            f"| share of {perspective} | {' | '.join('–' if v is None else f'{v:.0%}' for v in values)} |"
            for perspective, values in shares(result)
        ]
        parts += ["---\n\n## Comparison", "\n".join(table), READING]
        for each in result.answers.values():
            if each.kept:
                head, *rows = (f"| {' | '.join(cells)} |" for cells in kept_rows(each.kept))
                parts += ["\n".join([head, "|---" + "|---:" * 5 + "|", *rows]), " ".join(kept_notes(each))]
    if lines := warnings(result):
        parts.append("\n".join(f"- {_escaped(line)}" for line in lines))
    parts.append(f"*{CONSTRUCTIONS} Seed {result.seed}.*")
    return "\n\n".join(parts) + "\n"


def _found(answer: Answer) -> list[str]:
    """What a check found in an essay and what remains of it; nothing where it found nothing."""
    if not answer.findings:
        return []
    lines = [
        f"- {finding.kind}, {finding.state}"
        + (f": “{_escaped(finding.quote)}”" if finding.quote else "")
        + f". {_escaped(finding.why)} ({finding.by} check)"
        for finding in answer.findings
    ]
    return ["**What the check found, and what became of it**", "\n".join(lines)]


CONTESTED = "Who contests these practices, and where it can be read"


def harm_lines(answer: Answer) -> list[str]:
    """Who inside each tradition contests the harms that an answer touches, with the source, a line each."""
    return [
        f"{contest.title}: {contest.by}. {contest.argues}" + (f" {contest.source}" if contest.source else "")
        for harm in answer.harms
        for contest in harm.contests
    ]


def _harms(answer: Answer) -> list[str]:
    lines = [f"- {_escaped(line)}" for line in harm_lines(answer)]
    return [f"**{CONTESTED}**", "\n".join(lines)] if lines else []


def reading_order(result: Result) -> list[str]:
    """The strategies with the council's answer first, as it is what was asked for."""
    return sorted(result.answers, key=lambda strategy: strategy != "multiplex")


def _voice(title: str, text: str, error: str | None) -> str:
    return f"### The {title} voice\n\n{text if error is None else f'*Lost: {_escaped(error)}*'}"


def _escaped(text: str) -> str:
    """A foreign line as literal Markdown."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>#|" else c for c in text)


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>multiplex</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 1rem/1.6 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem }}
body {{ overflow-wrap: anywhere }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums }}
th, td {{ padding: .2rem .8rem .2rem 0; border-bottom: 1px solid #8884; text-align: left }}
sup a {{ text-decoration: none; padding: 0 .15em }}
article {{ border-inline-start: 3px solid #8886; padding-inline-start: 1rem; margin-block: 1.5rem }}
h2 {{ margin-top: 2rem }}
</style>
</head>
<body dir="auto">
{body}
</body>
</html>
"""


def as_html(result: Result, *, show_voices: bool = False) -> str:
    """The result as one HTML page that loads nothing; text of models and users is escaped.

    The voices stand folded behind an essay, whose names lead to the voice that named them; `show_voices` opens them.
    """
    council = result.answers["multiplex"].answer if "multiplex" in result.answers else None
    if council is None or council.form != "essay":
        return _PAGE.format(body=_render(as_markdown(result, show_voices=show_voices)))
    names, signed = _sign_names(council)
    answers = result.answers | {
        "multiplex": result.answers["multiplex"].model_copy(
            update={"answer": council.model_copy(update={"text": signed + VOICES_HERE})}
        )
    }
    body = _render(as_markdown(result.model_copy(update={"answers": answers})))
    for number, (sign, _, perspective) in enumerate(names):
        place = f'id="name-{number}" href="#voice-{_anchor(perspective)}"'
        link = f'<sup><a {place} title="the voice that names it">↓</a></sup>'
        body = body.replace(sign, link, 1)
    return _PAGE.format(body=body.replace(f"<p>{VOICES_HERE.strip()}</p>", _folded_voices(council, names, show_voices)))


VOICES_HERE = "\n\n\U0010fffd"  # a place in the Markdown that no text has: signs are chosen beside it
_SIGNS = range(0x100000, 0x10FFFD)


def _sign_names(answer: Answer) -> tuple[list[tuple[str, str, str]], str]:
    """(sign, name, perspective) of the first mention of each name that a voice holds, and the text with the signs.

    A sign is a character of private use behind the name; a text that holds such characters is left as it is.
    """
    if any(ord(c) >= _SIGNS.start for c in answer.text):
        return [], answer.text
    seen: set[str] = set()
    names = list[tuple[str, str, str]]()
    ends = list[int]()
    for trace in trace_names(answer.text, answer.voices, answer.scaffold):
        if fold(trace.text) in seen:
            continue
        seen.add(fold(trace.text))
        names.append((chr(_SIGNS[len(names)]), trace.text, trace.perspectives[0]))
        ends.append(trace.end)
    return names, _signed(answer.text, ends)


def _signed(text: str, ends: Sequence[int]) -> str:
    """The text with the signs in turn at these places of it, which are in order."""
    starts = [0, *ends]
    pieces = [text[start:end] + chr(sign) for sign, start, end in zip(_SIGNS, starts, ends, strict=False)]
    return "".join([*pieces, text[starts[-1] :]])


def _folded_voices(answer: Answer, names: list[tuple[str, str, str]], opened: bool) -> str:
    voices = "".join(_html_voice(voice, names) for voice in answer.voices)
    head = f"The voices that the essay is made of ({len(answer.voices)})"
    return f"<details{' open' if opened else ''}><summary>{head}</summary>\n{voices}</details>\n"


def _html_voice(voice: Voice, names: list[tuple[str, str, str]]) -> str:
    if voice.error is None:
        body, cited = _cited(voice)
    else:
        body, cited = _render(f"*Lost: {_escaped(voice.error)}*"), ""
    back = ", ".join(
        f'<a href="#name-{number}">{escape(name)}</a>'
        for number, (_, name, perspective) in enumerate(names)
        if perspective == voice.perspective
    )
    named = f"<p>Named in the essay: {back}</p>\n" if back else ""
    title = f"<h3>The {escape(voice.title)} voice</h3>"
    return f'<article id="voice-{_anchor(voice.perspective)}" dir="auto">\n{title}\n{body}{cited}{named}</article>\n'


def _cited(voice: Voice) -> tuple[str, str]:
    """The HTML of a voice with a link behind each sentence that rests on a position, and the list they lead to."""
    if voice.quoted or not voice.positions or any(ord(c) >= _SIGNS.start for c in voice.text):
        return _render(voice.text), ""
    places = sorted((place, number) for number, each in enumerate(voice.positions) for place in each.places)
    body = _render(_signed(voice.text, [place for place, _ in places]))
    for sign, (_, number) in zip(_SIGNS, places, strict=False):
        link = f'<sup><a href="#{_position_anchor(voice, number)}">[{number + 1}]</a></sup>'
        body = body.replace(chr(sign), link, 1)
    items = "".join(
        f'<li id="{_position_anchor(voice, number)}">{escape(each.says)} <em>{escape(each.whose)}</em>; '
        f"{escape(each.source)} <code>{escape(voice.persona)}/{escape(each.id)}</code></li>\n"
        for number, each in enumerate(voice.positions)
    )
    return body, f"<p>What it rests on in the sourcebook:</p>\n<ol>\n{items}</ol>\n"


def _position_anchor(voice: Voice, number: int) -> str:
    return f"position-{_anchor(voice.perspective)}-{number}"


def _anchor(perspective: str) -> str:
    return escape(perspective, quote=True)


def _render(text: str) -> str:
    """Foreign Markdown as inert HTML."""
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    rendered: str = reader.render(text)
    return rendered


def check_output(path: Path) -> None:
    """Whether a result can be written to this file, asked before anything is spent.

    Raises:
        UsageError: the ending is unknown, or the folder is not there or not writable.
    """
    import os

    if path.suffix not in ENDINGS:
        raise UsageError(f"--output {path}: the name must end in {', '.join(ENDINGS)}")
    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise UsageError(f"--output {path}: cannot be written there; does the folder exist?")


def write_output(result: Result, path: Path, *, show_voices: bool = False) -> None:
    """Write the result in the form of the file's ending, whole or not at all.

    Raises:
        MultiplexError: the disk refuses.
    """
    if path.suffix == ".json":
        text = as_record(result)
    elif path.suffix == ".md":
        text = as_markdown(result, show_voices=show_voices)
    else:
        text = as_html(result, show_voices=show_voices)
    draft = path.with_name(f".{path.name}.part")
    try:
        draft.write_text(text, "utf-8")
        draft.replace(path)
    except OSError as error:
        raise MultiplexError(f"--output {path}: {error.strerror or error}; the answer stands on the screen") from error
    finally:
        draft.unlink(missing_ok=True)
