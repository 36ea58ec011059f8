"""What travels through the council's graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypedDict

from langchain_core.messages import AnyMessage
from langgraph.graph.message import add_messages

from multiplex.council.answer import Synthesis, Voice
from multiplex.council.planning import Plan


def collect(spoken: list[Voice], new: Sequence[Voice] | None) -> list[Voice]:
    """Reducer: add what was just said; None clears the list when a new question begins."""
    return [] if new is None else [*spoken, *new]


class CouncilState(TypedDict, total=False):
    """The state of one question's way through the graph.

    Attributes:
        messages: the chat; the last human message is the question, earlier ones are folded into it.
        question: the question as it stands alone.
        seed: fixes the order of the voices and every call's seed.
        tasks: what each perspective is asked to do.
        planning: the plan, with what it cost.
        round: the round under way, from 1.
        voices: everything said in every round, lost voices included.
        synthesis: the multiplex answer.
    """

    messages: Annotated[list[AnyMessage], add_messages]
    question: str
    seed: int
    tasks: dict[str, str]
    planning: Plan
    round: int
    voices: Annotated[list[Voice], collect]
    synthesis: Synthesis


class Turn(TypedDict):
    """What one persona is sent: its name, the question, its task, and what the others said before."""

    persona: str
    question: str
    task: str
    seed: int
    round: int
    heard: list[str]
