"""Does the work of one unit. It takes all it needs and returns all it made, so that any process can do it."""

from __future__ import annotations

from dataclasses import dataclass

from multiplex.answering import language_for
from multiplex.bench.plan.units import Unit
from multiplex.council import controls, strategies
from multiplex.council.answer import Answer, Voice
from multiplex.council.closed import ask_closed
from multiplex.council.events import silent
from multiplex.council.locales import Language
from multiplex.council.personas import Council
from multiplex.council.planning import checked_question
from multiplex.evaluation.extraction.references import masked
from multiplex.llm.chat import Chat
from multiplex.llm.tracing import trace_answer
from multiplex.text.tokens import count_words

ROUND_TO = 10  # words: nobody writes to the word, and a round number is asked for more naturally


@dataclass(frozen=True)
class Work:
    """A unit, who speaks in it, how long its answer should be where that is matched to another's, and whom it hears.

    `secret` goes into the marks of its prompts.
    """

    unit: Unit
    council: Council
    words: int | None = None
    heard: tuple[Voice, ...] = ()
    secret: str | None = None


async def execute(work: Work, chat: Chat) -> Answer:
    """The answer of a unit.

    Raises:
        MultiplexError: there is none; the error says why.
    """
    with trace_answer((work.unit.strategy,), work.unit.seed) as inside, inside():
        return await _answer(work, chat)


async def _answer(work: Work, chat: Chat) -> Answer:
    unit, council = work.unit, work.council
    if unit.closed is not None:
        return await ask_closed(unit.closed, chat, unit.seed, unit.strategy, council, work.heard)
    language = Language(unit.language) if unit.language else await language_for(unit.question, None)
    asked = (checked_question(unit.question, local=chat.spec.local), chat, unit.seed, silent)
    match unit.strategy:
        case "multiplex":
            return await strategies.multiplex(*asked, council=council, language=language)
        case "uniplex":
            return await strategies.uniplex(*asked, language=language)
        case "contextual":
            return await strategies.contextual(*asked, language=language)
        case "checklist":
            return await controls.checklist(*asked, council=council, words=_matched(work), language=language)
        case "uniplex-long":
            return await controls.uniplex_long(*asked, words=_matched(work), language=language)
        case "solo-council":
            return await controls.solo_council(*asked, council=council, language=language)
        case "echo-council":
            return await controls.echo_council(*asked, council=council, language=language)
        case "blank-council":
            return await controls.blank_council(*asked, council=council, language=language)
        case _:
            raise AssertionError(f"unit {unit.id} has no strategy {unit.strategy!r}")


def length(answer: Answer) -> int:
    """How many words of an answer were written by a model, to the nearest ten; at least ten."""
    words = count_words(masked(answer.text, answer.scaffold))
    return max(ROUND_TO, round(words / ROUND_TO) * ROUND_TO)


def _matched(work: Work) -> int:
    if work.words is None:
        raise AssertionError(f"unit {work.unit.id} is matched to the multiplex answer's length, which is not known")
    return work.words
