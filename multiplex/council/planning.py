"""The coordinator: makes the question stand alone and gives each perspective its task."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from multiplex.content import marked_prompt, prompt, storable
from multiplex.council.conversation import Conversation, conversation, cut
from multiplex.council.locales import IN_ENGLISH, Language, Locale
from multiplex.council.personas import Council
from multiplex.council.positions import Position
from multiplex.council.seeds import call_seed
from multiplex.council.similarity import GIVEN, SHOWN, nearest_positions
from multiplex.errors import CallError, UsageError
from multiplex.llm.chat import Chat
from multiplex.llm.local.server import PLANNING_SLOT
from multiplex.llm.spec import QUESTION_LIMIT, ModelSpec
from multiplex.llm.types import Call, Reply
from multiplex.llm.usage import Usage, spent_on

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

PlanMode = Literal["default", "model"]

LOCAL_QUESTION_LIMIT = 2_500  # characters: what the embedded server's slots hold beside prompt and reply
HISTORY_LIMIT = 16_000  # characters of what came before a question
TASK_LIMIT = 400  # characters of a task that a model plans: one sentence is asked for
NEAR_POSITIONS = 4  # of each sourcebook, handed to its voice
LEAST_HISTORY = 200  # characters: in less there is nothing to understand
SMALL_PLAN_TOKENS = 200  # of a small model's question or plan; an answer's limit is no matter of the plan
_TAGS = ("multiplex:plan", "nostream")
_TASK = re.compile(r"^[ \t\-*•`\d.)]*(?P<perspective>\w+(?: \w+)*)[ \t*`]*[:：][ \t*`]*(?P<task>\S.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Plan:
    """A question that stands alone, a task per perspective, what planning cost, and what went wrong in it.

    `near` holds, by persona, the ids of its positions near the question, nearest first; no key for one without a
    sourcebook.
    """

    question: str
    tasks: dict[str, str]
    near: dict[str, tuple[str, ...]] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)
    notes: tuple[str, ...] = ()


def checked_question(question: str, *, local: bool = False, most: int = QUESTION_LIMIT) -> str:
    """The question without surrounding space; `most` characters are taken where the model is not embedded.

    Raises:
        UsageError: it is empty or longer than a model can be asked.
    """
    question = question.strip()
    limit = LOCAL_QUESTION_LIMIT if local else most
    if not question:
        raise UsageError("the question is empty; give it as an argument, as @FILE, or on standard input")
    if len(question) > limit:
        whose = "the embedded model takes" if local else "a question has"
        raise UsageError(f"the question has {len(question):,} characters; {whose} at most {limit:,}")
    return question


def room_before(question: str, spec: ModelSpec) -> int:
    """How many characters of conversation a model can read before this question; 0 where they would be too few."""
    room = (LOCAL_QUESTION_LIMIT if spec.local or spec.small else spec.question_limit) - len(question)
    return min(room, HISTORY_LIMIT) if room >= LEAST_HISTORY else 0


async def plan(
    messages: Sequence[BaseMessage], council: Council, chat: Chat, mode: PlanMode, seed: int,
    language: Language = IN_ENGLISH, quoting: Collection[str] = (),
) -> Plan:  # fmt: skip
    """The plan for the last human message; `quoting` are the perspectives whose voices a small model speaks.

    Where something stands before that message (earlier turns, instructions) one call makes a question of it that
    stands alone; for a small model the user's own questions are put in a row. Beyond that `default` makes no model
    call, `model` makes one. What the model does not deliver is replaced (the question by the conversation itself,
    shortened; the tasks by the default ones), and `notes` says so.

    Raises:
        UsageError: there is no human message, or the question is empty or too long.
    """
    question, usage, notes = await _alone(conversation(messages), chat, seed, language.locale)
    tasks = {perspective: prompt("task") for perspective in council.perspectives}
    near = await asyncio.to_thread(plan_near, question, council, quoting)
    if mode == "default":
        return Plan(question, tasks, near, usage, notes)
    default = dict(tasks)
    try:
        marks = chat.marks(seed, question)
        asked = marked_prompt(
            "plan", marks, question=marks.enclose("question", question), perspectives=", ".join(tasks)
        )
        reply = await _ask(asked, chat, seed)
    except CallError as error:
        notes = (*notes, language.locale.say("no_plan", error=error))
        return Plan(question, tasks, near, usage + spent_on(error), notes)
    for line in _TASK.finditer(reply.text):
        if (perspective := line["perspective"].lower().replace(" ", "_")) in tasks:
            tasks[perspective] = cut(line["task"].strip(), TASK_LIMIT)
    unplanned = [perspective for perspective, task in tasks.items() if task == default[perspective]]
    if unplanned:
        titles = {persona.perspective: persona.title for persona in council.personas}
        told = language.locale.title_list(titles[perspective] for perspective in unplanned)
        notes = (*notes, language.locale.say("no_task", voices=told))
    return Plan(question, tasks, near, usage + reply.usage, tuple(dict.fromkeys([*notes, *reply.notes])))


async def _alone(talk: Conversation, chat: Chat, seed: int, locale: Locale) -> tuple[str, Usage, tuple[str, ...]]:
    """The question as it stands alone, what making it cost, and a note where the model did not make it.

    Raises:
        UsageError: the question is empty or too long.
    """
    question = checked_question(talk.question, local=chat.spec.local, most=chat.spec.question_limit)
    if talk.alone:
        return question, Usage(), ()
    room = room_before(question, chat.spec)
    if not room:
        return question, Usage(), (locale.say("no_room"),)
    if chat.spec.small:  # a small model mixes the voices of earlier answers into the question it should rewrite
        return talk.in_a_row(room), Usage(), ()
    talk = talk.shortened(room)
    marks = chat.marks(seed, question, talk.instructions, *(part for turn in talk.turns for part in turn))
    turns = "\n".join(marks.enclose("turn", said, speaker=speaker) for speaker, said in talk.turns)
    text = marked_prompt(
        "stand_alone",
        marks,
        instructions=marks.enclose("instructions", talk.instructions or "(none)"),
        history=marks.wrap("conversation", turns or "(none)"),
        question=marks.enclose("newest", question),
    )
    usage = Usage()
    try:
        reply = await _ask(text, chat, seed)
        usage = reply.usage
        if reply.cut:
            raise CallError("cut_off", "the question was cut off at the token limit")
        alone = checked_question(storable(reply.text), local=chat.spec.local, most=chat.spec.question_limit)
        return alone, usage, reply.notes
    except (CallError, UsageError) as error:
        note = locale.say("not_one_question", error=error)
        return talk.pasted(), usage + spent_on(error), (note,)


def plan_near(question: str, council: Council, quoting: Collection[str] = ()) -> dict[str, tuple[str, ...]]:
    """By persona that has a sourcebook, the ids of its positions near the question, nearest first.

    Those of a voice in `quoting` must be nearer: a small model shows what it is given.
    """
    found: dict[str, tuple[Position, ...]] = {}
    for least, small in ((GIVEN, False), (SHOWN, True)):
        personas = [persona for persona in council.personas if (persona.perspective in quoting) is small]
        found |= nearest_positions(question, personas, NEAR_POSITIONS, least) if personas else {}
    return {name: tuple(position.id for position in positions) for name, positions in found.items()}


async def _ask(text: str, chat: Chat, seed: int) -> Reply:
    from langchain_core.messages import HumanMessage

    limit = max(SMALL_PLAN_TOKENS, chat.spec.voice_tokens or 0) if chat.spec.local or chat.spec.small else None
    return await chat.complete(
        [HumanMessage(text)],
        Call(seed=call_seed(seed, "plan"), slot=PLANNING_SLOT, tags=_TAGS, max_tokens=limit, temperature=0.0),
    )
