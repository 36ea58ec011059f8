"""What travels through the council's graph."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import (
    Annotated,
    Any,
    NotRequired,  # pydantic wants it before Python 3.12
)

from langchain_core.messages import AnyMessage
from langgraph.channels import LastValue
from langgraph.graph.message import add_messages
from pydantic import TypeAdapter
from typing_extensions import TypedDict

from multiplex.council.answer import Synthesis, Voice
from multiplex.council.planning import Plan


class Kept(LastValue[Any]):
    """A field whose readers see objects and whose checkpoints hold plain data.

    So any checkpointer can store it, whatever classes it may restore, and a thread outlives the classes' place. A node
    writes plain data too, since what it wrote is stored before it is read.
    """

    def update(self, values: Sequence[Any]) -> bool:
        """Take the one value of a step, as plain data or as the object itself."""
        return super().update([_adapter(self.typ).validate_python(value) for value in values])

    def checkpoint(self) -> Any:
        """The value as plain data."""
        return _adapter(self.typ).dump_python(self.value, mode="json") if self.is_available() else super().checkpoint()

    def from_checkpoint(self, checkpoint: Any) -> Kept:
        """The field with the value that a checkpoint held."""
        restored = super().from_checkpoint(checkpoint)
        if restored.is_available():
            restored.value = _adapter(self.typ).validate_python(restored.value)
        return restored


class Collected(Kept):
    """A `Kept` list to which every node of a step adds; None clears it when a new question begins."""

    def update(self, values: Sequence[Any]) -> bool:
        """Add each list of a step in turn."""
        if not values:
            return False
        collected = self.value if self.is_available() else []
        for value in values:
            collected = [] if value is None else [*collected, *_adapter(self.typ).validate_python(value)]
        self.value = collected
        return True


def plain(value: Any) -> Any:
    """What a node writes to a `Kept` field: the object's content as JSON has it."""
    kind: Any = type(value)
    return _adapter(kind).dump_python(value, mode="json")


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


class Asked(TypedDict, total=False):
    """What the graph takes.

    Attributes:
        messages: the chat; the last human message is the question, earlier ones are folded into it.
        seed: fixes the order of the voices and every call's seed.
        language: ISO 639 code of the language of the question, in which our own code writes; English if left out.
        language_chosen: whether the models are to write in it, whatever the language of the question.
    """

    messages: Annotated[list[AnyMessage], add_messages]
    seed: int
    language: str
    language_chosen: bool


class CouncilState(Asked, total=False):
    """The state of one question's way through the graph.

    Attributes:
        question: the question as it stands alone.
        tasks: what each perspective is asked to do.
        planning: the plan, with what it cost.
        round: the round under way, from 1.
        voices: everything said in every round of this question, lost voices included.
        draft: the answer before its check.
        synthesis: the multiplex answer.
    """

    question: str
    tasks: dict[str, str]
    planning: Annotated[Plan, Kept]
    round: int
    voices: Annotated[list[Voice], Collected]
    draft: Annotated[Synthesis, Kept]
    synthesis: Annotated[Synthesis, Kept]


class Turn(TypedDict):
    """What one persona is sent: its name, the question, its task, its positions near the question (ids, nearest first;
    None where it has no sourcebook), what the others said before, and the language as in `Asked`."""

    persona: str
    question: str
    task: str
    near: list[str] | None
    seed: int
    round: int
    heard: list[str]
    language: NotRequired[str]
    language_chosen: NotRequired[bool]
