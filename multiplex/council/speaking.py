"""One persona speaks, or is lost: nothing it meets stops the others."""

from __future__ import annotations

import random
import re
from time import perf_counter
from typing import TYPE_CHECKING

from multiplex.content import as_data, prompt
from multiplex.council.answer import Voice
from multiplex.council.events import Emit
from multiplex.council.grammar import voice_grammar
from multiplex.council.harms import describe_harms, find_harms
from multiplex.council.personas import Persona
from multiplex.council.seeds import call_seed
from multiplex.council.state import Turn
from multiplex.errors import CallError, MultiplexError
from multiplex.llm.chat import Call, Chat, Reply
from multiplex.llm.spec import ModelSpec

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

_SENTENCE_END = re.compile(r"[.!?。！？؟।…][\"'”’»)\]]*(?=\s|$)|[。！？।]")


async def speak(persona: Persona, chat: Chat, turn: Turn, slot: int | None, emit: Emit) -> Voice:
    """The persona's voice; an error becomes part of it, and `emit` hears of its start, its pieces and its end."""
    about = {
        "persona": persona.name,
        "perspective": persona.perspective,
        "title": persona.title,
        "round": turn["round"],
    }
    silent = Voice(**about, model=chat.spec.name, digest=persona.digest)
    emit({"type": "voice.started", **about})
    started, pieces = perf_counter(), 0

    def hear(_: str) -> None:
        nonlocal pieces
        pieces += 1
        emit({"type": "voice.delta", **about, "tokens": pieces})

    call = Call(
        max_tokens=chat.spec.voice_tokens,
        seed=call_seed(turn["seed"], persona.name, turn["round"]),
        slot=slot,
        grammar=voice_grammar(turn["question"]) if chat.spec.local else None,
        tags=("multiplex:voice", "nostream"),
    )
    try:
        reply = await chat.complete(voice_messages(persona, chat, turn), call, on_delta=hear)
        text, note = _kept(reply, chat.spec)
    except MultiplexError as error:
        voice = silent.model_copy(update={"error": str(error), "seconds": perf_counter() - started})
        emit({"type": "voice.failed", **about, "error": voice.error, "seconds": voice.seconds})
        return voice
    voice = silent.model_copy(update={"text": text, "note": note, "seconds": reply.seconds, "usage": reply.usage})
    finished = {"text": text, "seconds": voice.seconds, "usage": reply.usage.model_dump(), "note": note}
    emit({"type": "voice.finished", **about, **finished})
    return voice


def _kept(reply: Reply, spec: ModelSpec) -> tuple[str, str | None]:
    """The reply's text, and a note where the token limit cut it off and only its full sentences are kept."""
    if not reply.cut:
        return reply.text, None
    cut = f"cut off at the limit of {spec.voice_tokens} tokens" if spec.voice_tokens else "cut off by its endpoint"
    if text := whole_sentences(reply.text):
        return text, f"{cut}; kept to its last full sentence"
    raise CallError(
        "cut_off", f"{spec.name} at {spec.place}: {cut} before its first full sentence; raise MULTIPLEX_VOICE_TOKENS"
    )


def voice_messages(persona: Persona, chat: Chat, turn: Turn) -> list[BaseMessage]:
    """The fixed part first, so that a prompt cache serves the next question; the question is marked as data."""
    from langchain_core.messages import HumanMessage, SystemMessage

    heard = "\n\n".join(f"Voice {chr(ord('A') + i)}:\n{as_data(text)}" for i, text in enumerate(turn["heard"]))
    name = persona.turn_prompt(brief=chat.spec.brief) if not heard else "voice_again"
    values = {"question": as_data(turn["question"]), "task": turn["task"]} | ({"heard": heard} if heard else {})
    if name == "voice":
        values["harms"] = _harms(persona, turn["question"])
    system = persona.system_prompt(brief=chat.spec.brief)
    return [*([SystemMessage(system)] if system else []), HumanMessage(prompt(name, **values))]


def _harms(persona: Persona, question: str) -> str:
    """What the persona has on record of the harms that the question touches; empty where it has nothing."""
    touched = find_harms([question], [persona])
    if not touched:
        return ""
    return (
        "\nThe question touches practices that harm people. On record in your tradition, with those who contest them:\n"
        f"{describe_harms(touched)}\n"
    )


def heard_by(persona: Persona, voices: list[Voice], seed: int) -> list[str]:
    """What the other voices said, without their names and in an order that the seed and the listener fix."""
    others = [voice.text for voice in voices if voice.persona != persona.name and voice.error is None]
    random.Random(f"{seed} {persona.name}").shuffle(others)
    return others


def whole_sentences(text: str) -> str:
    """The text up to its last full sentence; empty where it has none."""
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    return text[: ends[-1]].rstrip() if ends else ""
