"""One persona speaks, or is lost: nothing it meets stops the others."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any

from multiplex.content import marked_prompt, prompt
from multiplex.council.answer import Cited, Voice
from multiplex.council.events import Emit, VoiceDelta, VoiceFailed, VoiceFinished, VoiceStarted
from multiplex.council.locales import Locale, language_of
from multiplex.council.personas import Persona
from multiplex.council.positions import Position
from multiplex.council.quoting import cite, quote
from multiplex.council.seeds import call_seed
from multiplex.council.state import Turn
from multiplex.council.touched_harms import describe_harms, find_harms
from multiplex.errors import CallError, ModelError, MultiplexError, VoicesLostError
from multiplex.llm.chat import Chat
from multiplex.llm.spec import ModelSpec
from multiplex.llm.types import Call, Reply
from multiplex.llm.usage import spent_on
from multiplex.text.marks import Marks, as_data, make_marks
from multiplex.text.sentences import OWN_STOPS, STOPS

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

_RANGE = re.compile(r"(\d{1,2})(?:\s?[-–—]\s?(\d{1,2}))?")
_MARK = re.compile(rf"\s?[\[［【]{_RANGE.pattern}(?:\s?[,;，；、]\s?{_RANGE.pattern})*[\]］】]")  # also full-width
_BEHIND = rf"[\"'”’»)\]」』）》]*(?:{_MARK.pattern})*"  # a stop, and of its sentence
_SENTENCE_END = re.compile(rf"[{STOPS}]{_BEHIND}(?=\s|$)|[{OWN_STOPS}]{_BEHIND}")


async def speak(persona: Persona, chat: Chat, turn: Turn, slot: int | None, emit: Emit) -> Voice:
    """The persona's voice; an error becomes part of it, and `emit` hears of its start, its pieces and its end."""
    about: dict[str, Any] = {
        "persona": persona.name,
        "perspective": persona.perspective,
        "title": persona.title,
        "round": turn["round"],
    }
    silent = Voice(**about, model=chat.spec.name, digest=persona.digest)
    emit(VoiceStarted(**about))
    started, pieces = perf_counter(), 0

    def hear(_: str) -> None:
        nonlocal pieces
        pieces += 1
        emit(VoiceDelta(**about, tokens=pieces))

    try:
        if chat.spec.small:
            voice = await quote(persona, chat, turn, silent, slot, emit)
        else:
            voice = await _write(persona, chat, turn, silent, slot, hear)
    except MultiplexError as error:
        kind = error.kind if isinstance(error, CallError) else None
        seconds, spent = perf_counter() - started, spent_on(error)
        voice = silent.model_copy(update={"error": str(error), "error_kind": kind, "seconds": seconds, "usage": spent})
        emit(VoiceFailed(voice=voice))
        return voice
    emit(VoiceFinished(voice=voice))
    return voice


async def _write(
    persona: Persona, chat: Chat, turn: Turn, silent: Voice, slot: int | None, hear: Callable[[str], None]
) -> Voice:
    """The voice in a capable model's own words.

    Raises:
        MultiplexError: the call failed for good, or its reply was cut off before its first full sentence.
    """
    call = Call(
        max_tokens=chat.spec.voice_tokens,
        seed=call_seed(turn["seed"], persona.name, turn["round"]),
        slot=slot,
        tags=("multiplex:voice", "nostream"),
        persona=persona.name,
    )
    reply = await chat.complete(voice_messages(persona, turn, chat.secret), call, on_delta=hear)
    text, note = _kept(reply, chat.spec, language_of(turn).locale)
    note = "; ".join([*([note] if note else []), *reply.notes]) or None
    text, cited = read_marks(text, _given(persona, turn))
    return silent.model_copy(
        update={"text": text, "positions": cited, "note": note, "seconds": reply.seconds, "usage": reply.usage}
    )


def _kept(reply: Reply, spec: ModelSpec, locale: Locale) -> tuple[str, str | None]:
    """The reply's text, and a note where the token limit cut it off and only its full sentences are kept."""
    if not reply.cut:
        return reply.text, None
    cut = f"cut off at the limit of {spec.voice_tokens} tokens" if spec.voice_tokens else "cut off by its endpoint"
    if text := whole_sentences(reply.text):
        key = "cut_tokens" if spec.voice_tokens else "cut_endpoint"
        return text, locale.say(key, **({"tokens": spec.voice_tokens} if spec.voice_tokens else {}))
    raise CallError(
        "cut_off",
        f"{spec.name} at {spec.place}: {cut} before its first full sentence; raise MULTIPLEX_VOICE_TOKENS",
        (reply.usage.calls, reply.usage.input_tokens, reply.usage.output_tokens),
    )


def voice_messages(persona: Persona, turn: Turn, secret: str | None = None) -> list[BaseMessage]:
    """The fixed part first, so that a prompt cache serves the next question.

    The question, a task that was planned for it and what others said stand between marks; `secret` as in `make_marks`.
    """
    from langchain_core.messages import HumanMessage, SystemMessage

    marks = make_marks(secret, turn["seed"], turn["question"], turn["task"], *turn["heard"])
    heard = "\n\n".join(marks.enclose("voice", text, letter=chr(ord("A") + i)) for i, text in enumerate(turn["heard"]))
    name = _prompt_name(persona, turn)
    values = {"question": marks.enclose("question", turn["question"]), "task": _task(turn["task"], marks)}
    values["language"] = language_of(turn).asked_for
    if heard:
        values["heard"] = marks.wrap("heard", heard)
    if name == "voice":
        values |= {"harms": _harms(persona, turn["question"]), "positions": on_record(persona, _given(persona, turn))}
    system = persona.system_prompt
    return [*([SystemMessage(system)] if system else []), HumanMessage(marked_prompt(name, marks, **values))]


def _task(task: str, marks: Marks) -> str:
    """Our own task as it is; one that was planned, by a model or a caller, as material."""
    own = prompt("task")
    return own if task == own else prompt("task_given", task=own, given=marks.enclose("task", task))


def _prompt_name(persona: Persona, turn: Turn) -> str:
    return "voice_again" if turn["heard"] else persona.turn_prompt


def _given(persona: Persona, turn: Turn) -> list[Position]:
    """The positions that stand in the voice's prompt; only the prompt `voice` has a place for them."""
    if _prompt_name(persona, turn) != "voice":
        return []
    return [persona.position(name) for name in turn["near"] or ()]


def on_record(persona: Persona, near: Sequence[Position], *, mark: bool = True) -> str:
    """The positions near the question as lines; with `mark` the voice is asked to mark by number what rests on one."""
    if not near:
        return ""
    numbers = {position.id: i for i, position in enumerate(near, 1)}
    lines = []
    for position in near:
        opposed = persona.sourcebook.opponents(position) if persona.sourcebook else []
        against = "; ".join(f"[{numbers[o.id]}], on {about}" for o, about in opposed if o.id in numbers)
        line = f"[{numbers[position.id]}] {as_data(str(position))}"
        lines.append(f"{line} Against: {against}." if against else line)
    return "\n" + prompt("positions", positions="\n".join(lines), mark=prompt("mark") + " " if mark else "") + "\n"


def read_marks(text: str, near: Sequence[Position]) -> tuple[str, tuple[Cited, ...]]:
    """A voice's text without its marks like [2], and the positions that they name, with the places they stood at."""
    if not near:
        return text, ()
    plain, places, last = "", dict[int, list[int]](), 0
    for mark in _MARK.finditer(text):
        plain += text[last : mark.start()]
        last = mark.end()
        for first, end in _RANGE.findall(mark[0]):
            for number in range(int(first), int(end or first) + 1):
                if 1 <= number <= len(near):
                    places.setdefault(number - 1, []).append(len(plain))
    plain += text[last:]
    order = sorted(places, key=lambda place: places[place])
    return plain, tuple(cite(near[place], *places[place]) for place in order)


def _harms(persona: Persona, question: str) -> str:
    """What the persona has on record of the harms that the question touches; empty where it has nothing."""
    touched = find_harms([question], [persona])
    if not touched:
        return ""
    return (
        "\nThe question touches practices that harm people. On record in your tradition, with those who contest them:\n"
        f"{as_data(describe_harms(touched))}\n"
    )


def heard_by(persona: Persona, voices: list[Voice], seed: int) -> list[str]:
    """What the other voices said, without their names and in an order that the seed and the listener fix."""
    others = [voice.text for voice in voices if voice.persona != persona.name and voice.error is None]
    random.Random(f"{seed} {persona.name}").shuffle(others)
    return others


def check_enough_spoke(voices: Sequence[Voice], needed: int) -> None:
    """Refuse to go on with fewer than `needed` of these voices.

    Raises:
        ModelError: no call succeeded at all (CallError: the endpoint refused each).
        VoicesLostError: fewer than `needed` spoke.
    """
    lost = [voice for voice in voices if voice.error is not None]
    if len(lost) == len(voices) and not any(voice.usage.calls for voice in voices):
        why = f"no call succeeded: {voices[0].error}"
        refused = all(voice.error_kind == "bad_request" for voice in voices)
        raise CallError("bad_request", why) if refused else ModelError(why)
    if len(voices) - len(lost) < needed:
        why = "; ".join(f"{voice.perspective}: {voice.error}" for voice in lost)
        names = tuple(voice.perspective for voice in lost)
        raise VoicesLostError(f"{len(lost)} of {len(voices)} voices lost, {needed} must speak: {why}", names)


def whole_sentences(text: str) -> str:
    """The text up to its last full sentence, with the marks like [2] behind it; empty where it has none."""
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    return text[: ends[-1]].rstrip() if ends else ""
