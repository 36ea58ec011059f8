"""One question, seven voices and a synthesis against a loopback server of 200 ms: ours beside a bare LangGraph.

The bare graph makes the same calls with the same prompts through the same client class: a fan-out of seven and
one call after it. Both are timed from outside, as the server sees them: from the first request's arrival to the
last reply's end; and as the caller sees them, wall time of the whole call. The two are interleaved in one run.
"""

from __future__ import annotations

import asyncio
import operator
import statistics
import sys
import time
from pathlib import Path
from typing import Annotated, Any, TypedDict

sys.path.insert(0, str(Path(__file__).parents[1]))
from multiplex.answering import ask
from multiplex.council.order import Order
from multiplex.council.personas import Council
from multiplex.llm.spec import parse_spec
from tests.backend import Backend, Body, Say, running

RUNS, LATENCY = 15, 0.2
QUESTION = "How should families decide who cares for ageing parents?"


class BareState(TypedDict):
    """The bare graph's state: what was said."""

    said: Annotated[list[str], operator.add]


def bare_graph(base_url: str, requests: list[Body]) -> Any:
    """A LangGraph that sends the recorded requests: all but the last at once, then the last."""
    from langchain_openai import ChatOpenAI
    from langgraph.graph import END, START, StateGraph
    from langgraph.types import Send

    client = ChatOpenAI(model="m", base_url=base_url, api_key="none", max_retries=0, stream_usage=True)

    async def call(request: Body) -> BareState:
        messages = [(m["role"], m["content"]) for m in request["messages"]]
        whole = "".join([str(chunk.text) async for chunk in client.astream(messages)])
        return {"said": [whole]}

    async def last(_: BareState) -> BareState:
        return await call(requests[-1])

    graph = StateGraph(BareState)
    graph.add_node("call", call)
    graph.add_node("last", last)
    graph.add_conditional_edges(START, lambda _: [Send("call", request) for request in requests[:-1]], ["call"])
    graph.add_edge("call", "last")
    graph.add_edge("last", END)
    return graph.compile()


async def timed(backend: Backend, run: Any) -> tuple[float, float]:
    """(seconds as the server saw them, seconds as the caller saw them) of one run."""
    backend.times.clear()
    began = time.perf_counter()
    await run()
    wall = time.perf_counter() - began
    await asyncio.sleep(0.05)
    return max(end for _, end in backend.times) - min(start for start, _ in backend.times), wall


async def compare(backend: Backend) -> dict[str, list[tuple[float, float]]]:
    """Interleaved timings of both."""
    backend.script = lambda _body, _number: Say("A sentence of a voice that speaks. " * 12, delay=LATENCY)
    spec, council = parse_spec("m", backend.base_url).model_copy(update={"check": "none"}), Council.load()

    async def ours() -> None:
        await ask(Order.of(QUESTION, strategies=["multiplex"], model=spec, council=council, seed=1))

    await ours()
    bare = bare_graph(backend.base_url, list(backend.requests))
    await bare.ainvoke({"said": []})
    times: dict[str, list[tuple[float, float]]] = {"bare graph": [], "multiplex": []}
    for _ in range(RUNS):
        times["bare graph"].append(await timed(backend, lambda: bare.ainvoke({"said": []})))
        times["multiplex"].append(await timed(backend, ours))
    return times


def main() -> None:
    """Print the table."""
    with running() as backend:
        times = asyncio.run(compare(backend))
    base = [statistics.median(column) for column in zip(*times["bare graph"], strict=True)]
    print(f"Floor: {2 * LATENCY:.2f} s; medians of {RUNS}.\n")
    print("| | as the server sees it, s | ratio | as the caller sees it, s | ratio |\n|---|---|---|---|---|")
    for name, taken in times.items():
        server, wall = (statistics.median(column) for column in zip(*taken, strict=True))
        print(f"| {name} | {server:.3f} | {server / base[0]:.2f} | {wall:.3f} | {wall / base[1]:.2f} |")


if __name__ == "__main__":
    main()
