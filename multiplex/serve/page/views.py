"""What the page shows of answers, voices and personas, as plain data; every text of a model is a tree of nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from multiplex.answering import Measured
from multiplex.council.answer import Answer, Voice
from multiplex.council.locales import ENGLISH, locale_of
from multiplex.council.names import Trace, fold, trace_names
from multiplex.council.personas import Persona
from multiplex.council.similarity import ideas_in
from multiplex.evaluation import Entity, Measures, Reference
from multiplex.evaluation.extraction.facets import AXES
from multiplex.evaluation.extraction.references import pairs
from multiplex.present.result import retention_notes, retention_rows
from multiplex.present.stance import agreement, choices
from multiplex.serve.page.markdown_nodes import Node, prose

_FIGURES = {
    "frame", "cues", "counts", "n", "shares", "entropy", "entropy_unprompted", "hill_number", "excluded",
    "berger_parker", "out_of_frame", "expected_perspectives", "per_100_words", "sentiment", "stance", "words", "depth",
}  # fmt: skip


def answer_view(each: Measured, entities: Mapping[str, Entity]) -> dict[str, Any]:
    """One strategy's answer: its text with references and scaffold, its figures, what it cost and what is to be known.

    `prose` numbers the references as `references` lists them; `measures` and `retention` are None where there are none.
    """
    answer, measures = each.answer, each.measures
    found = measures.references if measures else ()
    traces = first_traces(answer)
    return {
        "strategy": answer.strategy,
        "model": answer.model,
        "seconds": answer.seconds,
        "usage": answer.usage.model_dump(),
        "language": answer.language,
        "direction": "auto" if (locale := locale_of(answer.language)).code == ENGLISH else locale.direction,
        "missing": _missing(answer),
        "notes": list(answer.notes),
        "lost": list(answer.lost),
        "prose": prose(answer.text, found, answer.scaffold, [*_names(traces), *_remaining(answer)]),
        "form": answer.form,
        "check": answer.check,
        "findings": [finding.model_dump() for finding in answer.findings],
        "harms": [harm.model_dump() for harm in answer.harms],
        "names": [{"text": trace.text, "perspectives": list(trace.perspectives)} for trace in traces],
        "references": [_reference(reference, measures, entities) for reference in found] if measures else [],
        "measures": measures.model_dump(mode="json", include=_FIGURES) if measures else None,
        "retention": {"rows": retention_rows(each.retention), "notes": retention_notes(each)}
        if each.retention
        else None,
    }


def first_traces(answer: Answer) -> list[Trace]:
    """Where an essay first names what a voice named, and whose voices; empty for other answers."""
    if answer.form != "essay":
        return []
    seen: dict[str, Trace] = {}
    for trace in trace_names(answer.text, answer.voices, answer.scaffold):
        seen.setdefault(fold(trace.text), trace)
    return list(seen.values())


def _missing(answer: Answer) -> str | None:
    """In another language than the page's, which voices were lost; None in English, or where none was."""
    locale = locale_of(answer.language)
    lost = [voice.title for voice in answer.voices if voice.error is not None]
    return locale.say("missing", voices=locale.title_list(lost)) if lost and locale.code != ENGLISH else None


def _names(traces: Sequence[Trace]) -> list[tuple[int, Node]]:
    """A node after each name, by its number in the list of names."""
    return [(trace.end, {"t": "name", "n": number, "c": []}) for number, trace in enumerate(traces)]


def _remaining(answer: Answer) -> list[tuple[int, Node]]:
    """A node after the words of each finding that remains, by its number in the list of findings."""
    found = []
    for number, finding in enumerate(answer.findings):
        if finding.state == "remains" and (end := _end(finding.quote, answer.text)) is not None:
            node: Node = {"t": "finding", "n": number, "c": []}
            found.append((end, node))
    return found


def _end(quote: str, text: str) -> int | None:
    """Where the words of a quotation end in a text; as for the check, capitals, accents and kinds of space are one."""
    signs, ends = list[str](), list[int]()
    for end, sign in enumerate(text, 1):
        for each in fold(sign):
            if each != " " or (signs and signs[-1] != " "):
                signs.append(each)
                ends.append(end)
    wanted = " ".join(fold(quote).split())
    place = "".join(signs).find(wanted)
    return ends[place + len(wanted) - 1] if wanted and place >= 0 else None


def _reference(reference: Reference, measures: Measures, entities: Mapping[str, Entity]) -> dict[str, Any]:
    """A reference and why it counts, or does not."""
    entity = entities.get(reference.entity)
    return {
        "perspective": reference.perspective,
        "cue": reference.cue,
        "text": reference.text,
        "sentence": reference.sentence,
        "entity": reference.entity,
        "source": entity.source if entity else "",
        "score": reference.score,
        "facets": {axis: list(values) for axis in AXES if (values := getattr(reference.facets, axis))},
        "echo": reference.echo,
        "counts": bool(pairs([reference], measures.cues)) and reference.perspective in measures.frame,
    }


def stance_view(options: Sequence[str], council: Measured | None) -> dict[str, Any] | None:
    """Each voice's probability of each option, and whether they are split; None where no voice was to choose.

    A row without `shares` says `why`. `line` is in the answer's language, as the titles are; None where nobody chose.
    """
    if not options:
        return None
    answer = council.answer if council else None
    if answer is None:
        return {"options": list(options), "rows": [], "line": None, "language": ENGLISH, "direction": "ltr"}
    locale = locale_of(answer.language)
    return {
        "options": list(options),
        "rows": [
            {
                "perspective": voice.perspective,
                "title": locale.title(voice.title),
                "shares": voice.choice.shares if voice.choice else None,
                "why": _without(voice),
            }
            for voice in answer.voices
        ],
        "line": agreement(answer) if choices(answer) else None,
        "language": locale.code,
        "direction": locale.direction,
    }


def _without(voice: Voice) -> str | None:
    """Why a voice has no probabilities; None where it has."""
    if voice.error is not None:
        return "not asked: this voice was lost"
    if voice.choice is None:
        return "not asked"
    return None if voice.choice.shares is not None else f"no answer: {voice.choice.note}"


def voice_view(voice: Voice, persona: Persona | None = None) -> dict[str, Any]:
    """One voice, or the error that kept it silent.

    `positions` are those of the sourcebook that it rests on, which its prose marks by number; one that quotes them
    says itself whose they are. `named` are the persona's ideas in it, with their sources.
    """
    named = ideas_in(voice.text, persona) if persona and not voice.positions else []
    cited = () if voice.quoted else voice.positions
    marks: list[tuple[int, Node]] = [
        (place, {"t": "cite", "n": number, "c": []}) for number, each in enumerate(cited) for place in each.places
    ]
    return {
        "perspective": voice.perspective,
        "persona": voice.persona,
        "digest": voice.digest,
        "title": voice.title,
        "prose": prose(voice.text, (), voice.scaffold, sorted(marks, key=lambda mark: mark[0])),
        "positions": [
            {"id": f"{voice.persona}/{each.id}", "says": each.says, "whose": each.whose, "source": each.source}
            for each in cited
        ],
        "error": voice.error,
        "states": voice.states,
        "note": voice.note,
        "seconds": voice.seconds,
        "usage": voice.usage.model_dump(),
        "model": voice.model,
        "round": voice.round,
        "named": [{"idea": idea.name, "source": str(idea.source)} for idea in named],
    }


def persona_view(persona: Persona) -> dict[str, Any]:
    """Who speaks: an editorial construction, its sources, and for whom it does not speak."""
    return {
        "name": persona.name,
        "perspective": persona.perspective,
        "title": persona.title,
        "sources": [{"of": idea.name, "source": str(idea.source)} for idea in persona.ideas],
        "dissent": [{"of": each.name, "source": str(each.source)} for each in persona.dissent],
        "speaks_for": list(persona.speaks_for),
        "does_not_speak_for": list(persona.does_not_speak_for),
        "version": persona.version,
        "reviewed": persona.reviewed_by_members,
        "about": construction(persona),
    }


def construction(persona: Persona) -> str:
    """What a persona is, in one line."""
    reviewed = "reviewed by members of this tradition" if persona.reviewed_by_members else (
        "not reviewed by members of this tradition"
    )  # fmt: skip
    return f"An editorial construction, {reviewed}; it represents no people."
