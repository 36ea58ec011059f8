"""The voice of a small model: positions of the sourcebook, word for word, and one question to the reader.

The model chooses which positions bear on the question and writes the question; it states nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from multiplex.content import as_data, prompt
from multiplex.council.answer import Cited, Span, Voice
from multiplex.council.grammar import ASKS, LETTERS, LONGEST, choosing_grammar
from multiplex.council.personas import Persona, built_in
from multiplex.council.positions import FOLDER, Position
from multiplex.council.seeds import call_seed
from multiplex.council.state import Turn
from multiplex.errors import MultiplexError, UsageError
from multiplex.llm.chat import Call, Chat
from multiplex.llm.spec import ModelSpec
from multiplex.llm.usage import Usage

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage


TOKENS = 48  # of a reply: two letters and a question
NOTHING = "The sourcebook of this voice holds nothing near the question."
_LETTER = re.compile(rf"\b([{LETTERS}])\b")
_ASK = re.compile(rf"(?:{'|'.join(ASKS)})[^.!?\n]{{10,{LONGEST}}}\?")
_WORD = re.compile(r"[^\W\d_]+")


def check_speaker(persona: Persona, spec: ModelSpec, rounds: int = 1) -> None:
    """Whether a model may speak for a persona so often.

    Raises:
        UsageError: it is small and the persona has no sourcebook, or there is a round in which it had to answer others.
    """
    if not spec.small:
        return
    if persona.sourcebook is None:
        raise UsageError(
            f"persona {persona.name} has no sourcebook ({FOLDER}/{persona.name}.yaml beside it), and {spec.name} is "
            "a small model, which speaks from one only; write one, or take another model"
        )
    if rounds > 1:
        raise UsageError(
            f"--rounds {rounds}: {spec.name} is a small model and cannot answer other voices; leave it out"
        )


async def quote(persona: Persona, chat: Chat, turn: Turn, slot: int | None) -> Voice:
    """The persona's voice, made of its positions near the question; without one it says so.

    Where the model fails, the nearest position stands and nothing is asked; `note` says why.
    """
    about = {"persona": persona.name, "perspective": persona.perspective, "title": persona.title}
    silent = Voice(**about, model=chat.spec.name, digest=persona.digest, round=turn["round"])
    near = [persona.position(name) for name in (turn["near"] or ())]
    if not near:
        return silent.model_copy(update={"text": NOTHING, "scaffold": ((0, len(NOTHING)),)})
    chosen, asks, usage, note = near[:1], None, Usage(), None
    try:
        reply = await chat.complete(choosing_messages(near, turn["question"]), _call(persona, chat, turn, slot, near))
        usage = reply.usage
        chosen = read_choice(reply.text, near) or near[:1]
        asks = read_question(reply.text, [*chosen, *near], turn["question"])
    except MultiplexError as error:
        note = f"the model could not choose ({error}); the position nearest to the question stands"
    text, quoted, cited = _write(persona, chosen)
    scaffold = _between(quoted, len(text))
    if asks:
        text += f"\n\n{asks}"
    return silent.model_copy(
        update={"text": text, "quoted": quoted, "scaffold": scaffold, "positions": cited, "asks": asks,
                "usage": usage, "note": note}
    )  # fmt: skip


def choosing_messages(near: Sequence[Position], question: str) -> list[BaseMessage]:
    """The prompt: the question, and the positions under letters."""
    from langchain_core.messages import HumanMessage

    choices = "\n".join(f"{letter}: {position.says}" for letter, position in zip(LETTERS, near, strict=False))
    return [HumanMessage(prompt("choose", question=as_data(question), choices=choices))]


def _call(persona: Persona, chat: Chat, turn: Turn, slot: int | None, near: Sequence[Position]) -> Call:
    return Call(
        max_tokens=TOKENS,
        seed=call_seed(turn["seed"], persona.name, turn["round"]),
        slot=slot,
        grammar=choosing_grammar(len(near)) if chat.spec.local else None,
        temperature=0.2,
        tags=("multiplex:voice", "nostream"),
    )


def read_choice(reply: str, near: Sequence[Position]) -> list[Position]:
    """The one or two positions whose letters stand on the first line; none where no letter is one of theirs."""
    first = reply.strip().partition("\n")[0]
    places = [LETTERS.index(letter) for letter in dict.fromkeys(_LETTER.findall(first))]
    return [near[place] for place in places if place < len(near)][:2]


def read_question(reply: str, positions: Sequence[Position], question: str) -> str | None:
    """The question to the reader; None where there is none, or where it names what no position and the user did not."""
    found = _ASK.search(reply)
    if found is None:
        return None
    known = " ".join([question, *(f"{position.says} {position.whose}" for position in positions)]).casefold()
    strange = {word for word in _WORD.findall(found[0].casefold()) if word in _names() and word not in known}
    return None if strange else " ".join(found[0].split())


@cache
def _names() -> frozenset[str]:
    """Words that name peoples, places, religions and their own words, taken from the personas."""
    names = set()
    for persona in built_in():
        told = [persona.speaker, persona.title, *persona.speaks_for, *persona.does_not_speak_for]
        words = {word for text in told for word in re.findall(r"(?<!^)(?<![.:;] )\b[A-Z][^\W\d_]+", text)}
        names |= {word.casefold() for word in words} | {word.word.casefold() for word in persona.words}
    return frozenset(names)


def _write(persona: Persona, chosen: Sequence[Position]) -> tuple[str, tuple[Span, ...], tuple[Cited, ...]]:
    """The text of the positions with the first one's opponent, the spans of their statements, and what they are."""
    text, quoted, cited = "", [], []

    def add(lead: str, position: Position) -> None:
        nonlocal text
        start = len(text) + len(lead)
        end = start + len(position.says)
        text += f"{lead}{position.says} ({_attributed(position)}) [{persona.name}/{position.id}]"
        quoted.append((start, end))
        cited.append(cite(position, end))

    for position in chosen:
        add("\n\n" if text else "", position)
    others = {position.id for position in chosen}
    opposed = persona.sourcebook.opponents(chosen[0]) if persona.sourcebook else []
    for other, about in opposed[:1]:
        if other.id not in others:
            add(f"\n\nAgainst it, inside the tradition, on {about}: ", other)
    return text, tuple(quoted), tuple(cited)


def _attributed(position: Position) -> str:
    """Holder and source; the source alone where its author is the holder."""
    author, whose = position.source.author, position.whose
    last = author.split()[-1]
    return str(position.source) if last in whose and "," not in whose else f"{whose}; {position.source}"


def cite(position: Position, *places: int) -> Cited:
    """What a record keeps of a position."""
    return Cited(id=position.id, says=position.says, whose=position.whose, source=str(position.source), places=places)


def _between(spans: Sequence[Span], end: int) -> tuple[Span, ...]:
    """What lies outside the spans, which are in order."""
    starts, ends = [0, *(last for _, last in spans)], [*(first for first, _ in spans), end]
    return tuple((first, last) for first, last in zip(starts, ends, strict=True) if first < last)
