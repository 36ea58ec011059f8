"""A compiled graph that others can call without an event loop, and put into graphs of their own."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any

from langchain_core.runnables import RunnableLambda
from langgraph.graph.state import CompiledStateGraph

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig
    from langchain_core.tools import BaseTool
    from pydantic import BaseModel

    from multiplex.llm.chat import Chat

_IN_A_NODE = "langgraph_node"  # LangGraph's name for the node that runs, in the metadata of what it calls


class NestableGraph(CompiledStateGraph[Any, Any, Any, Any]):
    """As a node of another graph it gives that graph `messages` alone: every other key is the other graph's own.

    What it holds is seen in streams with `subgraphs=True`; a node that calls it by hand gets all of it by leaving out
    `config`, or names keys with `output_keys`.
    """

    def as_tool(self, args_schema: type[BaseModel] | None = None, **options: Any) -> BaseTool:
        """As LangChain's; without a schema of the caller's it takes `messages` in any form that LangChain reads."""
        if args_schema is None:
            options = {**options, "arg_types": options.get("arg_types") or {"messages": list}}
        return super().as_tool(args_schema, **options)

    def invoke(self, input: Any, config: RunnableConfig | None = None, **options: Any) -> Any:  # noqa: A002
        """As LangGraph's."""
        return _shared(super().invoke(input, config, **options), config, options)

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **options: Any) -> Any:  # noqa: A002
        """As LangGraph's."""
        return _shared(await super().ainvoke(input, config, **options), config, options)

    def stream(self, input: Any, config: RunnableConfig | None = None, **options: Any) -> Iterator[Any]:  # noqa: A002
        """As LangGraph's."""
        for chunk in super().stream(input, config, **options):
            yield _shared(chunk, config, options)

    async def astream(
        self, input: Any, config: RunnableConfig | None = None, **options: Any  # noqa: A002
    ) -> AsyncIterator[Any]:  # fmt: skip
        """As LangGraph's."""
        async for chunk in super().astream(input, config, **options):
            yield _shared(chunk, config, options)


def _shared(said: Any, config: RunnableConfig | None, options: Mapping[str, Any]) -> Any:
    """What a caller may see: of a whole state, in another graph's node, the messages."""
    nested = _IN_A_NODE in ((config or {}).get("metadata") or {})
    if nested and isinstance(said, dict) and not {"stream_mode", "output_keys"} & options.keys():
        return {name: value for name, value in said.items() if name == "messages"}
    return said


class SideLoop:
    """An event loop in a thread of its own, for code that does not await; it lives while something runs in it.

    All that runs at once shares the loop, and so the connections and limiters of these chats, which are closed with it.
    """

    def __init__(self, chats: Iterable[Chat]) -> None:
        self._chats = tuple(chats)
        self._lock, self._users = threading.Lock(), 0
        self._running: tuple[asyncio.AbstractEventLoop, threading.Thread] | None = None

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """The result of a coroutine, which sees the context variables of the caller."""
        context = contextvars.copy_context()
        loop, thread = self._enter()
        try:
            running = asyncio.run_coroutine_threadsafe(_in_context(work, context), loop)
            try:
                return running.result()
            except BaseException:
                running.cancel()
                raise
        finally:
            self._leave(loop, thread)

    def _enter(self) -> tuple[asyncio.AbstractEventLoop, threading.Thread]:
        with self._lock:
            if self._running is None:
                loop = asyncio.new_event_loop()
                thread = threading.Thread(target=self._serve, args=(loop,), name="multiplex-sync", daemon=True)
                thread.start()
                self._running = loop, thread
            self._users += 1
            return self._running

    def _leave(self, loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
        with self._lock:
            self._users -= 1
            if self._users:
                return
            self._running = None
        loop.call_soon_threadsafe(loop.stop)
        thread.join()

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        with closing(loop):
            loop.run_forever()
            loop.run_until_complete(self._end(loop))

    async def _end(self, loop: asyncio.AbstractEventLoop) -> None:
        left = [task for task in asyncio.all_tasks(loop) if task is not asyncio.current_task()]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await asyncio.gather(*(chat.aclose() for chat in self._chats))
        await loop.shutdown_default_executor()


async def _in_context(work: Coroutine[Any, Any, Any], context: contextvars.Context) -> Any:
    return await asyncio.get_running_loop().create_task(work, context=context)


def either_way(node: Callable[[Any], Awaitable[Any]], beside: SideLoop) -> RunnableLambda[Any, Any]:
    """A node of a graph that runs with `invoke` and `stream` as with `ainvoke` and `astream`."""

    def call(state: Any) -> Any:
        return beside.run(_awaited(node, state))

    async def acall(state: Any) -> Any:
        return await node(state)

    return RunnableLambda(call, acall, name=getattr(node, "__name__", "node"))


async def _awaited(node: Callable[[Any], Awaitable[Any]], state: Any) -> Any:
    return await node(state)
