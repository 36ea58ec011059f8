"""The voice of a small model: a position of the sourcebook, word for word, and one question to the reader.

Embeddings choose the position and the model writes the question; it states nothing. (Left to choose among the four
nearest positions, a model of 1.5 billion parameters takes the first: docs/positions.md.)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from time import perf_counter
from typing import TYPE_CHECKING

from multiplex.content import prompt
from multiplex.council.answer import Cited, Span, Voice
from multiplex.council.events import Emit, VoiceQuoted
from multiplex.council.grammar import ASKS, LONGEST, asking_grammar
from multiplex.council.locales import Locale, language_of
from multiplex.council.personas import Persona, built_in
from multiplex.council.positions import FOLDER, Position
from multiplex.council.seeds import call_seed
from multiplex.council.state import Turn
from multiplex.errors import MultiplexError, UsageError
from multiplex.llm.chat import Chat
from multiplex.llm.spec import ModelSpec
from multiplex.llm.types import Call
from multiplex.llm.usage import Usage, spent_on
from multiplex.text.marks import as_data

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage


TOKENS = 40  # of the question to the reader
SLOTS = 2  # of the embedded server: each reads the examples anew, which costs a first answer more than more slots gain
# A disputed matter, what a reader asked, and what to ask back: a small model follows examples better than orders.
EXAMPLES = (
    ("whether a promise made under threat binds", "Must I keep my word to my boss?",
     "Would you feel bound by a promise to your boss that was forced out of you?"),
    ("whether a guest may stay away from worship", "Should I invite my neighbours?",
     "What would you do if your neighbours came to the table and not to the prayer?"),
)  # fmt: skip
# The grammar cuts a question at its greatest length; a blank before its mark tells that a word is missing.
_ASK = re.compile(rf"(?:{'|'.join(ASKS)})[^.!?\n]{{9,{LONGEST - 2}}}[^.!?\s,-]\?")
_COMMON = """a an and are be by can do does for from how i if in is it may my of on or our should that the their they
this to was we what when where which who whom whose why will with without would you your"""
_ENGLISH = frozenset(_COMMON.split())
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


def seems_english(question: str) -> bool:
    """Whether a question has a common English word in it, or is too short to tell."""
    words = _WORD.findall(question.casefold())
    return len(words) < 3 or not _ENGLISH.isdisjoint(words)


async def quote(persona: Persona, chat: Chat, turn: Turn, silent: Voice, slot: int | None, emit: Emit) -> Voice:
    """The persona's voice: the position nearest to the question, who opposes it, and a question to the reader.

    `emit` is told the position at once, before the model is asked. `silent` is the voice before it has spoken.

    Without a position near enough it says so. Where the model fails nothing is asked; `note` says why.
    """
    locale = language_of(turn).locale
    if not turn["near"]:
        nothing = locale.say("voice_nothing")
        return silent.model_copy(update={"text": nothing, "scaffold": ((0, len(nothing)),)})
    position = persona.position(turn["near"][0])
    emit(VoiceQuoted(persona=persona.name, perspective=persona.perspective, says=position.says))
    started, asks, usage, note = perf_counter(), None, Usage(), None
    try:
        matter = _matter(persona, position)
        reply = await chat.complete(asking_messages(matter, turn["question"]), _call(persona, chat, turn, slot))
        usage, asks = reply.usage, read_question(reply.text, position, f"{turn['question']} {matter}")
        unasked = () if asks else (locale.say("no_question", error="its reply cannot be asked as one"),)
        note = "; ".join([*reply.notes, *unasked]) or None
    except MultiplexError as error:
        note, usage = locale.say("no_question", error=error), usage + spent_on(error)
    text, quoted, cited = _write(persona, position, locale)
    scaffold = outside(quoted, len(text))
    if asks:
        text += f"\n\n{asks}"
    return silent.model_copy(
        update={"text": text, "quoted": quoted, "scaffold": scaffold, "positions": cited, "asks": asks,
                "seconds": perf_counter() - started, "usage": usage, "note": note}
    )  # fmt: skip


def asking_messages(matter: str, question: str) -> list[BaseMessage]:
    """The prompt: examples, then the matter on which the tradition's own people part, and the question, a line each.

    A small model reads no marks; that its reply is one question without a strange name is checked (`read_question`).
    """
    from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

    messages: list[BaseMessage] = [SystemMessage(prompt("ask"))]
    for disputed, asked, asks in EXAMPLES:
        messages += [HumanMessage(prompt("ask_matter", matter=disputed, question=asked)), AIMessage(asks)]
    return [*messages, HumanMessage(prompt("ask_matter", matter=matter, question=as_data(" ".join(question.split()))))]


def _call(persona: Persona, chat: Chat, turn: Turn, slot: int | None) -> Call:
    return Call(
        max_tokens=max(TOKENS, chat.spec.voice_tokens or 0),  # a model may think first
        seed=call_seed(turn["seed"], persona.name, turn["round"]),
        slot=None if slot is None else slot % SLOTS,
        grammar=asking_grammar() if chat.spec.local else None,
        temperature=0.2,
        tags=("multiplex:voice", "nostream"),
        persona=persona.name,
    )


def read_question(reply: str, position: Position, question: str) -> str | None:
    """The question to the reader; None where there is none, or it names what neither position nor `question` named."""
    found = _ASK.search(reply)
    if found is None:
        return None
    known = f"{question} {position.says} {position.whose}".casefold()
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


def _write(persona: Persona, position: Position, locale: Locale) -> tuple[str, tuple[Span, ...], tuple[Cited, ...]]:
    """The text of a position and of its first opponent, the spans of their statements, and what they are."""
    text, quoted, cited = "", [], []
    told = [("", position)]
    told += [(f"\n\n{locale.say('against', about=about)} ", other) for other, about in _opponent(persona, position)]
    for lead, each in told:
        start = len(text) + len(lead)
        end = start + len(each.says)
        text += f"{lead}{each.says} ({attribution(each)}) [{persona.name}/{each.id}]"
        quoted.append((start, end))
        cited.append(cite(each, end))
    return text, tuple(quoted), tuple(cited)


def _opponent(persona: Persona, position: Position) -> list[tuple[Position, str]]:
    """The first position that disagrees, and what about, where there is one."""
    return persona.sourcebook.opponents(position)[:1] if persona.sourcebook is not None else []


def _matter(persona: Persona, position: Position) -> str:
    """What the position and its first opponent disagree about; where it has none, its first topic."""
    return next((about for _, about in _opponent(persona, position)), position.topics[0])


def attribution(position: Position) -> str:
    """Holder and source; the author is not named twice where the holder's name has the last name of every author."""
    source = position.source
    last_names = (author.split()[-1] for author in re.split(r", | and ", source.author))
    if all(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", position.whose) for name in last_names):
        return f"{position.whose}; {source.work} ({source.year})"
    return f"{position.whose}; {source}"


def cite(position: Position, *places: int) -> Cited:
    """What a record keeps of a position."""
    return Cited(id=position.id, says=position.says, whose=position.whose, source=str(position.source), places=places)


def outside(spans: Sequence[Span], end: int) -> tuple[Span, ...]:
    """What lies outside the spans, which are in order."""
    starts, ends = [0, *(last for _, last in spans)], [*(first for first, _ in spans), end]
    return tuple((first, last) for first, last in zip(starts, ends, strict=True) if first < last)
