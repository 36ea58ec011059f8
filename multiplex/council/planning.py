"""The coordinator: makes the question stand alone and gives each perspective its task."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from multiplex.content import as_data, prompt
from multiplex.council.nearness import nearest_ideas
from multiplex.council.personas import Council
from multiplex.council.seeds import call_seed
from multiplex.errors import CallError, UsageError
from multiplex.llm.chat import Call, Chat, Reply
from multiplex.llm.embedded import SYNTHESIS_SLOT
from multiplex.llm.usage import Usage

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

PlanMode = Literal["default", "model"]

QUESTION_LIMIT = 20_000  # characters
LOCAL_QUESTION_LIMIT = 2_500  # characters: what the embedded server's slots hold beside prompt and reply
_TAGS = ("multiplex:plan", "nostream")


@dataclass(frozen=True)
class Plan:
    """A question that stands alone, a task per perspective, what planning cost, and what went wrong in it."""

    question: str
    tasks: dict[str, str]
    usage: Usage = field(default_factory=Usage)
    notes: tuple[str, ...] = ()


def checked_question(question: str, *, local: bool = False) -> str:
    """The question without surrounding space.

    Raises:
        UsageError: it is empty or longer than a model can be asked.
    """
    question = question.strip()
    limit = LOCAL_QUESTION_LIMIT if local else QUESTION_LIMIT
    if not question:
        raise UsageError("the question is empty; give it as an argument, as @FILE, or on standard input")
    if len(question) > limit:
        whose = "the embedded model takes" if local else "a question has"
        raise UsageError(f"the question has {len(question):,} characters; {whose} at most {limit:,}")
    return question


async def plan(messages: Sequence[BaseMessage], council: Council, chat: Chat, mode: PlanMode, seed: int) -> Plan:
    """The plan for the last human message; `default` makes no model call, `model` makes one or two.

    A plan that the model does not deliver is replaced by the default one, and `notes` says so.

    Raises:
        UsageError: there is no human message, or the question is empty or too long.
    """
    asked = [i for i, message in enumerate(messages) if message.type == "human"]
    if not asked:
        raise UsageError("there is no question: `messages` holds no human message")
    question = checked_question(str(messages[asked[-1]].text), local=chat.spec.local)
    history = "\n".join(f"{message.type}: {message.text}" for message in messages[: asked[-1]])
    tasks = await _default_tasks(question, council, chat)
    if mode == "default":
        return Plan(f"{history}\n\n{question}" if history else question, tasks)
    default, usage, notes = dict(tasks), Usage(), []
    try:
        if history:
            alone = await _ask(prompt("stand_alone", history=as_data(history), question=as_data(question)), chat, seed)
            question, usage = alone.text, alone.usage
        reply = await _ask(prompt("plan", question=as_data(question), perspectives=", ".join(tasks)), chat, seed)
    except CallError as error:
        return Plan(question, tasks, usage, (f"no plan by the model ({error}); every voice had the same task",))
    for line in reply.text.splitlines():
        perspective, _, task = line.partition(":")
        if (perspective := perspective.strip(" -*`").lower().replace(" ", "_")) in tasks and task.strip():
            tasks[perspective] = task.strip()
    unplanned = [perspective for perspective, task in tasks.items() if task == default[perspective]]
    if unplanned:
        notes.append(f"the model planned no task for {', '.join(unplanned)}; each had the default one")
    return Plan(question, tasks, usage + reply.usage, tuple(notes))


async def _default_tasks(question: str, council: Council, chat: Chat) -> dict[str, str]:
    """One task for all; a small model is also handed the ideas of its tradition that bear on the question."""
    if not chat.spec.brief:
        return {perspective: prompt("task") for perspective in council.perspectives}
    nearest = await asyncio.to_thread(nearest_ideas, question, council)
    return {
        perspective: prompt(
            "task_ideas", ideas="\n".join(f"- {idea.name}, from {idea.source.author}: {idea.says}" for idea in ideas)
        )
        for perspective, ideas in nearest.items()
    }


async def _ask(text: str, chat: Chat, seed: int) -> Reply:
    from langchain_core.messages import HumanMessage

    return await chat.complete(
        [HumanMessage(text)],
        Call(seed=call_seed(seed, "plan"), slot=SYNTHESIS_SLOT, tags=_TAGS, max_tokens=chat.spec.answer_tokens),
    )
