"""Reads an essay against its voices before it is shown, and has it revised once.

Two checks. `text` needs no call: names, works, peoples, years and numbers of the essay must stand in a voice or in the
question, and each voice must be met by a name or term that it alone used. `model` is one call that reads for what was
added, sharpened, staged, weighed unequally or is false. Where a natural-language-inference model is given it decides
too. Nothing of `evaluation/` or `eval/` is used: the essay must not be fitted to the measure.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from multiplex.content import marked_prompt
from multiplex.council.answer import Finding, FindingKind, Synthesis
from multiplex.council.essay import Material, essay_messages, essay_words, find_fault
from multiplex.council.events import Emit, SynthesisChecked, SynthesisDelta, SynthesisDrafted
from multiplex.council.locales import Locale
from multiplex.council.names import (
    Name,
    capitals_inside,
    find_names,
    find_numbers,
    find_terms,
    fold,
    is_generic,
    is_people,
    names_readable,
    only_in,
    own_words,
    stands_in,
    with_plain_digits,
)
from multiplex.council.seeds import call_seed
from multiplex.errors import CallError
from multiplex.llm.chat import Chat
from multiplex.llm.types import Call, Reply
from multiplex.llm.usage import spent_on
from multiplex.text.sentences import OWN_STOPS

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

CHECK_TAG = "multiplex:check"
REVISION_TAG = "multiplex:revision"
Judge = Callable[[Sequence[str], Sequence[str]], Sequence[Sequence[float]]]
"""Premises and hypotheses to probabilities of (entailment, neutral, contradiction)."""
BORNE_OUT = 0.9  # entailment by a voice's words that dismisses the model's finding
CONTRADICTED = 0.9  # contradiction by the nearest words of a voice that makes a finding of its own
MODEL_KINDS = ("added", "sharpened", "false", "staged", "unmet", "unequal")
MOST = 12  # findings of the model
_ENDS = rf".!?؟۔{OWN_STOPS}\n"
_SENTENCE = re.compile(rf"(?:[^{_ENDS}]|(?<=\b[A-Z])\.)+[{_ENDS}]*[\"'”’»)\]*]*")  # an initial ends none
_INTRODUCED = re.compile(r"\b(?:in|from|at|near|across|the|an?|modern|ancient|medieval|early)\s+$", re.IGNORECASE)
_SCHEMA = {
    "type": "json_schema",
    "json_schema": {
        "name": "findings",
        "strict": True,
        "schema": {
            "type": "object",
            "additionalProperties": False,
            "required": ["findings"],
            "properties": {
                "findings": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["kind", "quote", "tradition", "why"],
                        "properties": {
                            "kind": {"type": "string", "enum": list(MODEL_KINDS)},
                            "quote": {"type": "string"},
                            "tradition": {"type": "string"},
                            "why": {"type": "string"},
                        },
                    },
                }
            },
        },
    },
}


async def check_essay(
    draft: Synthesis, material: Material, words_of: Iterable[str], chat: Chat, seed: int, emit: Emit,
    judge: Judge | None = None,
) -> Synthesis:  # fmt: skip
    """The essay as it may be shown: what the checks found is revised once, and what remains is told.

    A check or a revision whose call fails changes nothing; `note` says so.

    Args:
        draft: an essay of these voices.
        words_of: terms of the personas by which a voice can be met.
        judge: a natural-language-inference model.
    """
    emit(SynthesisDrafted(words=len(draft.text.split())))
    mode, usage, notes = chat.spec.check, draft.usage, [draft.note] if draft.note else []
    say, unread = material.language.locale.say, ""
    found = check_text(draft.text, material, words_of)
    if not _names_can_be_told(draft.text, material):
        notes.append(say("names_unread"))
    if mode == "model":
        try:
            reply = await chat.complete(check_messages(draft.text, material), _call(seed, "check", CHECK_TAG, _SCHEMA))
            usage += reply.usage
            notes += reply.notes
            found += read_findings(reply.text, draft.text, material)
        except CallError as error:
            usage += spent_on(error)
            unread = say("check_failed", error=error)
        except ValueError as error:
            unread = say("check_unread", error=error)
    notes += [unread] if unread else []
    if judge is not None:
        found = await asyncio.to_thread(_decide, found, draft.text, material, judge)
    if found or not unread:  # else nothing was found because nobody read it
        emit(SynthesisChecked(findings=tuple(found)))
    text, cut = draft.text, draft.cut
    if any(finding.state == "open" for finding in found):
        try:
            revised = await _revise(draft, found, material, chat, seed)
            text, cut = revised.text, revised.cut
            usage += revised.usage
            notes += revised.notes
        except CallError as error:
            usage += spent_on(error)
            notes.append(say("revision_failed", error=error))
        except _BadRevisionError as error:
            usage += error.reply.usage
            notes += error.reply.notes
            notes.append(say("revision_unused", error=error))
        if text == draft.text:
            found = [f.model_copy(update={"state": "remains"}) if f.state == "open" else f for f in found]
        else:
            found = _settle(found, text, check_text(text, material, words_of))
    left = sum(finding.state == "remains" for finding in found)
    if left:
        notes.append(say("findings_left", left=left, all=len(found)))
    emit(SynthesisDelta(text=text))
    return draft.model_copy(
        update={"text": text, "cut": cut, "usage": usage, "check": mode, "findings": tuple(found),
                "note": "; ".join(dict.fromkeys(notes)) or None}
    )  # fmt: skip


def check_text(text: str, material: Material, words_of: Iterable[str] = ()) -> list[Finding]:
    """What a comparison of words finds: names and numbers that stand in no voice, and voices that are not met.

    A few words that introduce a name of the voices (a country, a people beside it) are no finding.
    """
    locale = material.language.locale
    said = " ".join(_known(material))
    known, numbers = fold(said), with_plain_digits(said)
    found = []
    if _names_can_be_told(text, material):
        for start, sentence in _sentences(text):
            titles = _titles(sentence)
            names = [name for name in find_names_in(text, start, sentence) if not _inside(name, titles)] + titles
            held = [name for name in names if stands_in(name.text, known)]
            for name in names:
                if stands_in(name.text, known) or is_generic(name.text) or (held and _introduces(sentence, name)):
                    continue
                found.append(_finding("name", name.text, sentence, repr(name.text), locale))
    for start, sentence in _sentences(text):
        for number in find_numbers(sentence):
            digits = with_plain_digits(number.text)
            if not re.search(rf"(?<!\d){re.escape(digits)}(?!\d)", numbers) and not _is_heading(text, start):
                found.append(_finding("number", number.text, sentence, number.text, locale))
    folded = fold(text)
    for perspective, own in only_in(material.voices, material.question, words_of, capitals_inside(text)).items():
        if not own.is_met(folded):
            title = next(voice.title for voice in material.voices if voice.perspective == perspective)
            why = locale.say("not_met", voice=locale.title(title))
            found.append(Finding(by="text", kind="unmet", why=why, perspective=perspective))
    return list({_key(f): f for f in found}.values())


def find_names_in(text: str, start: int, sentence: str) -> list[Name]:
    """The names of one sentence of a text, by their places in the sentence."""
    end = start + len(sentence)
    return [
        Name(name.start - start, name.end - start, name.text)
        for name in find_names(text)
        if start <= name.start and name.end <= end
    ]


def check_messages(essay: str, material: Material) -> list[BaseMessage]:
    """The prompt of the call that reads an essay against its voices."""
    from langchain_core.messages import HumanMessage

    marks = material.marks(essay)
    text = marked_prompt(
        "check",
        marks,
        **material.blocks(marks),
        essay=marks.enclose("essay", essay),
        language=material.language.asked_for,
    )
    return [HumanMessage(text)]


def read_findings(reply: str, essay: str, material: Material) -> list[Finding]:
    """The findings in a checker's reply; one whose words do not stand in the essay is dropped, unless it is `unmet`.

    Raises:
        ValueError: the reply holds no JSON object of the form asked for.
    """
    start, end = reply.find("{"), reply.rfind("}")
    try:
        rows = json.loads(reply[start : end + 1])["findings"] if start >= 0 else None
    except (json.JSONDecodeError, KeyError, TypeError, RecursionError):
        rows = None
    if not isinstance(rows, list):
        raise ValueError("no JSON object with a list of findings")
    perspectives = {fold(voice.title): voice.perspective for voice in material.voices}
    found = []
    for row in rows[:MOST]:
        if not isinstance(row, dict) or row.get("kind") not in MODEL_KINDS:
            continue
        quote, why = _line(row.get("quote")), _line(row.get("why"))
        if row["kind"] != "unmet" and not _stands(quote, essay):
            continue
        perspective = perspectives.get(fold(_line(row.get("tradition"))))
        kind: FindingKind = row["kind"]
        found.append(Finding(by="model", kind=kind, quote=quote, why=why, perspective=perspective))
    return found


class _BadRevisionError(Exception):
    def __init__(self, why: str, reply: Reply) -> None:
        super().__init__(why)
        self.reply = reply


async def _revise(draft: Synthesis, found: Sequence[Finding], material: Material, chat: Chat, seed: int) -> Reply:
    """The revised text as it came.

    Raises:
        CallError: the call failed for good.
        _BadRevisionError: it is no essay, or half of one.
    """
    from langchain_core.messages import AIMessage, HumanMessage

    low, high = map(str, essay_words(chat))
    listed = "\n".join(
        f"- {finding.kind}{f', in: “{finding.quote}”' if finding.quote else ''}: {finding.why}"
        for finding in found
        if finding.state == "open"
    )
    marks = material.marks(draft.text, listed)
    asked = marked_prompt("revise", marks, findings=marks.enclose("findings", listed), low=low, high=high)
    messages = [*essay_messages(material, essay_words(chat)), AIMessage(draft.text), HumanMessage(asked)]
    call = _call(seed, "revision", REVISION_TAG, None, chat.spec.synthesis_tokens)
    reply = await chat.complete(messages, call)
    titles = [voice.title for voice in material.voices]
    if fault := find_fault(reply.text, titles, cut=reply.cut and chat.spec.synthesis_tokens is None):
        raise _BadRevisionError(fault, reply)
    if len(reply.text) < len(draft.text) / 2:
        raise _BadRevisionError("it is less than half as long as the draft", reply)
    return reply


def _settle(found: Sequence[Finding], text: str, again: Sequence[Finding]) -> list[Finding]:
    """Every finding with what became of it in the revised text, and what the text check finds there anew."""
    anew = {_key(finding): finding for finding in again}
    settled = []
    for finding in found:
        if finding.state == "dismissed":
            settled.append(finding)
            continue
        if finding.by == "text" or finding.kind == "unmet":
            remains = _key(finding) in anew
        else:
            remains = _stands(finding.quote, text)
        settled.append(finding.model_copy(update={"state": "remains" if remains else "revised"}))
    told = {_key(finding) for finding in settled}
    return settled + [f.model_copy(update={"state": "remains"}) for key, f in anew.items() if key not in told]


def _key(finding: Finding) -> tuple[FindingKind, str | None]:
    return finding.kind, finding.perspective if finding.kind == "unmet" else finding.quote


def _decide(found: Sequence[Finding], text: str, material: Material, judge: Judge) -> list[Finding]:
    """The findings with the inference model's word: what a voice bears out is dismissed, what one denies is added."""
    windows = [window for voice in material.voices for window in _windows(voice.text)]
    decided = []
    for finding in found:
        if finding.by == "model" and finding.kind in ("added", "sharpened") and windows:
            best = max(row[0] for row in judge(windows, [finding.quote] * len(windows)))
            finding = finding.model_copy(update={"state": "dismissed"}) if best >= BORNE_OUT else finding
        decided.append(finding)
    for start, sentence in _sentences(text):
        names = [name.text for name in find_names_in(text, start, sentence)]
        near = [window for window in windows if any(stands_in(name, fold(window)) for name in names)]
        if near:
            rows = judge(near, [sentence.strip()] * len(near))
            if max(row[0] for row in rows) < 0.5 and max(row[2] for row in rows) >= CONTRADICTED:
                quote = sentence.strip()
                why = material.language.locale.say("contradicted_by")
                decided.append(Finding(by="nli", kind="contradicted", quote=quote, why=why))
    return decided


def _call(seed: int, what: str, tag: str, form: dict[str, Any] | None, most: int | None = None) -> Call:
    temperature = 0.0 if tag == CHECK_TAG else None
    return Call(
        max_tokens=most, seed=call_seed(seed, what), response_format=form, temperature=temperature,
        tags=(tag, "nostream"),
    )  # fmt: skip


def _known(material: Material) -> list[str]:
    """All that an essay may take a name from."""
    return [material.question, *(text for voice in material.voices for text in (voice.text, voice.title))]


def _names_can_be_told(text: str, material: Material) -> bool:
    return names_readable(text) and all(names_readable(voice.text) for voice in material.voices)


def _inside(name: Name, titles: Sequence[Name]) -> bool:
    return any(title.start <= name.start and name.end <= title.end for title in titles)


def _titles(sentence: str) -> list[Name]:
    """Emphasised or quoted words with two capitals: the title of a work."""
    return [name for name in find_terms(sentence) if sum(word[:1].isupper() for word in name.text.split()) > 1]


def _introduces(sentence: str, name: Name) -> bool:
    """Whether a name is of the kind that introduces another: a country or people, or one word after "in" or "the"."""
    own = own_words(name.text)
    if is_people(name.text) or all(is_people(word) for word in own):
        return True
    return len(own) == 1 and bool(_INTRODUCED.search(sentence[: name.start]))


def _finding(kind: FindingKind, name: str, sentence: str, what: str, locale: Locale) -> Finding:
    why = locale.say("stands_nowhere", what=what, sentence=" ".join(sentence.split())[:160])
    return Finding(by="text", kind=kind, quote=name, why=why)


def _sentences(text: str) -> list[tuple[int, str]]:
    """(start, sentence) for a comparison of words: an abbreviation may end one too early, which does no harm."""
    return [(m.start(), m.group()) for m in _SENTENCE.finditer(text) if m.group().strip()]


def _windows(text: str) -> list[str]:
    """Every two sentences on end."""
    parts = [sentence.strip() for _, sentence in _sentences(text)]
    return [" ".join(parts[i : i + 2]) for i in range(max(1, len(parts) - 1))] if parts else []


def _is_heading(text: str, place: int) -> bool:
    return text[place:].lstrip().startswith("#") or text[:place].rstrip(" ").endswith("#")


def _stands(quote: str, text: str) -> bool:
    return bool(quote) and " ".join(fold(quote).split()) in " ".join(fold(text).split())


def _line(value: object) -> str:
    return " ".join(str(value).split())[:400] if isinstance(value, str) else ""
