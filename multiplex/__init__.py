"""A question answered by a council of culture personas, synthesized with its differences kept, and measured."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiplex.answering import Result, aanswer, answer
    from multiplex.council.answer import Answer, Voice
    from multiplex.council.graph import build_graph
    from multiplex.council.personas import Council, Persona
    from multiplex.errors import (
        CallError,
        ContentError,
        MemoryLostError,
        ModelError,
        MultiplexError,
        UsageError,
        VoicesLostError,
        WeightsError,
    )
    from multiplex.evaluation import Evaluator, Measures
    from multiplex.llm.chat import Chat
    from multiplex.llm.spec import ModelSpec

__all__ = [
    "Answer",
    "CallError",
    "Chat",
    "ContentError",
    "Council",
    "Evaluator",
    "Measures",
    "MemoryLostError",
    "ModelError",
    "ModelSpec",
    "MultiplexError",
    "Persona",
    "Result",
    "UsageError",
    "Voice",
    "VoicesLostError",
    "WeightsError",
    "aanswer",
    "answer",
    "build_graph",
]

_HOMES = {
    "multiplex.answering": ("Result", "aanswer", "answer"),
    "multiplex.council.answer": ("Answer", "Voice"),
    "multiplex.council.graph": ("build_graph",),
    "multiplex.council.personas": ("Council", "Persona"),
    "multiplex.errors": (
        "CallError", "ContentError", "MemoryLostError", "ModelError", "MultiplexError", "UsageError",
        "VoicesLostError", "WeightsError",
    ),
    "multiplex.evaluation": ("Evaluator", "Measures"),
    "multiplex.llm.chat": ("Chat",),
    "multiplex.llm.spec": ("ModelSpec",),
}  # fmt: skip
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import multiplex` stays quick."""
    if name not in _HOME:
        raise AttributeError(f"module 'multiplex' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
