"""What a conversation memory may hold: messages and plain data. Nothing that it holds is called when it is read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import ormsgpack
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

DEEPEST = 32  # values inside values, each an extension of its own
_ALLOWED = frozenset(
    {
        ("langchain_core.messages.ai", "AIMessage"),
        ("langchain_core.messages.ai", "AIMessageChunk"),
        ("langchain_core.messages.human", "HumanMessage"),
        ("langchain_core.messages.system", "SystemMessage"),
        ("langchain_core.messages.tool", "ToolMessage"),
        ("langchain_core.messages.modifier", "RemoveMessage"),
        ("langgraph.types", "Send"),
    }
)
_OBJECTS = (0, 1, 2, 4, 5)  # LangGraph's extensions that name a module and what to call in it
_SNAPSHOT = 7  # its extension around a value
_OPTION = ormsgpack.OPT_NON_STR_KEYS


class ForeignValueError(ValueError):
    """A stored value that no conversation of ours has: it names other code than the messages' classes."""


class PlainSerializer(JsonPlusSerializer):
    """LangGraph's serializer that restores messages and plain data, whatever the environment allows.

    The default one imports and calls what a stored value names, so that whoever can write the database can run
    commands as the server. Here such a value is refused before anything in it is restored.
    """

    def __init__(self) -> None:
        super().__init__(allowed_msgpack_modules=None)

    def with_msgpack_allowlist(self, extra_allowlist: Iterable[tuple[str, ...] | type]) -> PlainSerializer:  # noqa: ARG002
        """This serializer: what a graph's state names widens nothing, since our graphs store plain data."""
        return self

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """A stored value.

        Raises:
            ForeignValueError: it is none of a conversation; nothing of it was imported or called.
        """
        kind, content = data
        if kind not in ("null", "bytes", "bytearray", "msgpack"):
            raise ForeignValueError(f"holds a value of kind {kind[:40]!a}, which multiplex does not write")
        if kind == "msgpack":
            _check(content)
        return super().loads_typed(data)


def _check(content: bytes) -> None:
    """Raise ForeignValueError where an extension, however deep, names anything but a message."""
    foreign: list[str] = []  # the parser hides what its hook raises

    def look(code: int, inner: bytes, depth: int) -> None:
        if depth > DEEPEST:
            foreign.append("values nested too deep")
        if foreign:
            return
        value = ormsgpack.unpackb(inner, ext_hook=lambda code, inner: look(code, inner, depth + 1), option=_OPTION)
        if code == _SNAPSHOT:
            return
        named = tuple(str(part)[:40] for part in value[:2]) if isinstance(value, list | tuple) else ()
        if code not in _OBJECTS or named not in _ALLOWED:
            foreign.append(ascii(".".join(named) or f"an extension {code}")[1:-1])

    ormsgpack.unpackb(content, ext_hook=lambda code, inner: look(code, inner, 1), option=_OPTION)
    if foreign:
        raise ForeignValueError(f"holds {foreign[0]}, which multiplex does not write and will not restore")
