"""`multiplex bench run` beside a plain client, a bare LangGraph, Inspect and Plurals: the same calls, side by side.

    python benchmarks/bench.py --inspect-python VENV/bin/python --plurals-python VENV/bin/python

175 questions, seven voices and a synthesis each: 1,400 calls with our prompts to a loopback server that answers 150
words after 200 ms. Every way of making them runs in a process of its own, at the same number of calls in flight as far
as it lets itself be told, and the ways take turns. Measured are the whole process, the time from the first call to
the last reply as the server sees it, and the processor time of the process.

`inspect-ai`, and `plurals` with `litellm`, are installed by whoever runs this, each in an environment of its own; a
peer that is not given is left out.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import operator
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypedDict

from loopback import Loopback, serving, words_of

ROOT = Path(__file__).parents[1]
MODEL, WORDS, DELAY = "loopback", 150, 0.2
Message = dict[str, str]
Item = dict[str, Any]  # of one question: `question`, `voices` (a list of messages each) and `synthesis` (messages)


def workload(questions: int) -> list[Item]:
    """What our council would send about the first questions of the set."""
    sys.path.insert(0, str(ROOT))
    from multiplex.bench.plan.questions import chosen, load
    from multiplex.content import prompt
    from multiplex.council.answer import Voice
    from multiplex.council.essay import essay_messages, essay_words
    from multiplex.council.personas import Council
    from multiplex.council.planning import plan_near
    from multiplex.council.state import Turn
    from multiplex.council.synthesis import gather_material
    from multiplex.council.voice import voice_messages
    from multiplex.llm.chat import Chat
    from multiplex.llm.spec import parse_spec

    council, chat = Council.load(), Chat(parse_spec(MODEL, "http://127.0.0.1:9/v1"))
    said = [
        Voice(persona=each.name, perspective=each.perspective, title=each.title, model=MODEL, text=words_of(WORDS))
        for each in council.personas
    ]
    items = []
    for asked in chosen(load("worldviews-175"), questions, 7):
        near = plan_near(asked.question, council)
        about = {"question": asked.question, "task": prompt("task"), "seed": 7, "round": 1}
        voices = [
            voice_messages(persona, Turn(persona=persona.name, near=near.get(persona.name), heard=[], **about))  # type: ignore[typeddict-item]
            for persona in council.personas
        ]
        items.append(
            {
                "question": asked.question,
                "voices": [_plain(messages) for messages in voices],
                "synthesis": _plain(essay_messages(gather_material(asked.question, said, 7), essay_words(chat))),
            }
        )
    return items


def _plain(messages: list[Any]) -> list[Message]:
    roles = {"human": "user"}
    return [{"role": roles.get(message.type, message.type), "content": str(message.text)} for message in messages]


class CouncilState(TypedDict):
    """The bare graph's state: what is to be asked, and what was said."""

    item: Item
    said: Annotated[list[str], operator.add]


# --- the ways, each run in its own process as `bench.py --way NAME`


async def _councils(items: list[Item], ask: Callable[[list[Message]], Any]) -> None:
    async def one(item: Item) -> None:
        await asyncio.gather(*(ask(messages) for messages in item["voices"]))
        await ask(item["synthesis"])

    await asyncio.gather(*(one(item) for item in items))


def plain(url: str, items: list[Item], in_flight: int, _: Path) -> None:
    """The openai client, replies not streamed, nothing kept."""
    _client(url, items, in_flight, stream=False)


def streamed(url: str, items: list[Item], in_flight: int, _: Path) -> None:
    """The openai client, replies streamed."""
    _client(url, items, in_flight, stream=True)


def _client(url: str, items: list[Item], in_flight: int, *, stream: bool) -> None:
    from openai import AsyncOpenAI

    client, places = AsyncOpenAI(base_url=url, api_key="none", max_retries=0), asyncio.Semaphore(in_flight)

    async def ask(messages: Any) -> str:
        async with places:
            if not stream:
                reply = await client.chat.completions.create(model=MODEL, messages=messages)
                return reply.choices[0].message.content or ""
            chunks = await client.chat.completions.create(model=MODEL, messages=messages, stream=True)
            return "".join([chunk.choices[0].delta.content or "" async for chunk in chunks if chunk.choices])

    asyncio.run(_councils(items, ask))


def bare_graph(url: str, items: list[Item], in_flight: int, _: Path) -> None:
    """A LangGraph that fans out to seven calls of ChatOpenAI and makes one more; replies not streamed."""
    from langchain_openai import ChatOpenAI
    from langgraph.graph import END, START, StateGraph
    from langgraph.types import Send

    client = ChatOpenAI(model=MODEL, base_url=url, api_key="none", max_retries=0)  # type: ignore[arg-type]
    places = asyncio.Semaphore(in_flight)

    async def call(messages: list[Message]) -> dict[str, list[str]]:
        async with places:
            reply = await client.ainvoke([(message["role"], message["content"]) for message in messages])
        return {"said": [str(reply.text)]}

    async def last(state: CouncilState) -> dict[str, list[str]]:
        return await call(state["item"]["synthesis"])

    graph = StateGraph(CouncilState)
    graph.add_node("call", call)  # type: ignore[arg-type]  # it is sent messages, not the state
    graph.add_node("last", last)
    graph.add_conditional_edges(START, lambda state: [Send("call", each) for each in state["item"]["voices"]], ["call"])
    graph.add_edge("call", "last")
    graph.add_edge("last", END)
    compiled = graph.compile()

    async def every() -> None:
        await asyncio.gather(*(compiled.ainvoke({"item": item, "said": []}) for item in items))

    asyncio.run(every())


def ours(url: str, items: list[Item], in_flight: int, folder: Path) -> None:
    """`multiplex bench run`, its store on, nothing scored."""
    flags = ["bench", "run", "--models", MODEL, "--base-url", url, "--strategies", "multiplex", "--no-score"]
    flags += ["--check", "none"]
    flags += ["--limit", str(len(items)), "--dir", str(folder), "--concurrency", str(in_flight)]
    sys.path.insert(0, str(ROOT))
    sys.argv = ["multiplex", *flags]
    from multiplex.cli.main import main as multiplex

    multiplex()


def inspect(url: str, items: list[Item], in_flight: int, folder: Path) -> None:
    """Inspect: a task whose solver makes seven generates at once and one more; its log on, its display off."""
    os.environ |= {"LOOPBACK_API_KEY": "none", "LOOPBACK_BASE_URL": url}
    from inspect_ai import Task
    from inspect_ai import eval as evaluate
    from inspect_ai.dataset import MemoryDataset, Sample
    from inspect_ai.model import ChatMessage, ChatMessageSystem, ChatMessageUser, get_model
    from inspect_ai.solver import Generate, Solver, TaskState, solver
    from inspect_ai.util import collect

    kinds = {"system": ChatMessageSystem, "user": ChatMessageUser}

    def chat(messages: list[Message]) -> list[ChatMessage]:
        return [kinds[message["role"]](content=message["content"]) for message in messages]

    @solver
    def council() -> Solver:
        async def solve(state: TaskState, _: Generate) -> TaskState:
            item, model = state.metadata["item"], get_model()
            await collect(*(model.generate(chat(messages)) for messages in item["voices"]))
            state.output = await model.generate(chat(item["synthesis"]))
            return state

        return solve

    samples = [Sample(input=item["question"], metadata={"item": item}) for item in items]
    logs = evaluate(
        Task(dataset=MemoryDataset(samples), solver=council()),
        model=f"openai-api/loopback/{MODEL}",
        max_connections=in_flight,
        max_samples=len(items),
        display="none",
        log_dir=str(folder),
    )
    if logs[0].status != "success":
        raise SystemExit(f"Inspect: {logs[0].status}: {logs[0].error}")


def plurals(url: str, items: list[Item], _: int, __: Path) -> None:
    """Plurals: an Ensemble of seven agents and a moderator a question, which it runs at once; one after the other."""
    _ensembles(url, items, 1)


def plurals_helped(url: str, items: list[Item], in_flight: int, _: Path) -> None:
    """Plurals, with so many of its Ensembles in threads of ours that the calls in flight could be reached."""
    _ensembles(url, items, max(1, in_flight // 6))  # on two cores an Ensemble asks six agents at once


def _ensembles(url: str, items: list[Item], at_once: int) -> None:
    from concurrent.futures import ThreadPoolExecutor

    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else its import waits for a file from the network
    from plurals.agent import Agent
    from plurals.deliberation import Ensemble, Moderator

    options = {"model": f"openai/{MODEL}", "kwargs": {"api_base": url, "api_key": "none"}}

    def one(item: Item) -> str:
        agents = [Agent(system_instructions=voice[0]["content"], **options) for voice in item["voices"]]
        moderator = Moderator(persona=item["synthesis"][0]["content"], **options)
        ensemble = Ensemble(agents, moderator=moderator, task=item["voices"][0][1]["content"])
        answer: str | None = ensemble.process()
        if answer is None or None in ensemble.responses:
            raise SystemExit("Plurals lost a reply")
        return answer

    with ThreadPoolExecutor(at_once) as threads:
        list(threads.map(one, items))


WAYS: dict[str, tuple[str, Callable[[str, list[Item], int, Path], None]]] = {
    "plain": ("plain `openai` client", plain),
    "streamed": ("plain `openai` client, streamed", streamed),
    "bare": ("bare LangGraph", bare_graph),
    "ours": ("`multiplex bench run`, store on", ours),
    "inspect": ("Inspect, log on", inspect),
    "plurals": ("Plurals", plurals),
    "plurals-helped": ("Plurals, its ensembles in our threads", plurals_helped),
}


# --- the table


@dataclass(frozen=True)
class Taken:
    """One run of one way, in seconds; `most` is the largest number of calls that were in flight at once."""

    process: float
    calls: float
    cpu: float
    made: int
    most: int


def timed(way: str, python: str, server: Loopback, items: Path, in_flight: int, expected: int) -> Taken:
    """Run a way in its own process.

    Raises:
        SystemExit: it failed, or did not make the calls it should.
    """
    server.reset()
    with tempfile.TemporaryDirectory() as folder:
        command = [python, __file__, "--way", way, "--url", server.base_url, "--items", str(items)]
        command += ["--in-flight", str(in_flight), "--folder", folder]
        began = time.perf_counter()
        with tempfile.TemporaryFile("w+") as errors:
            with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors) as process:
                _, status, used = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(status)
            errors.seek(0)
            said = errors.read()
        taken = time.perf_counter() - began
    seen = server.stats()
    if process.returncode or seen["calls"] != expected:
        raise SystemExit(f"{way}: exit {process.returncode}, {seen['calls']} calls of {expected}\n{said[-2000:]}")
    return Taken(taken, seen["last"] - seen["first"], used.ru_utime + used.ru_stime, expected, seen["most_in_flight"])


def table(runs: dict[str, list[Taken]]) -> str:
    """Medians, and ratios to the plain client's and the bare graph's time from first call to last reply."""
    head = ["", "first call to last reply, s", "x plain", "x bare graph", "whole process, s", "x plain", "processor, s"]
    rows = [[*head, "most in flight"], ["---", *["---:"] * 7]]
    middle = {
        way: Taken(*(statistics.median(getattr(run, name) for run in taken) for name in Taken.__dataclass_fields__))
        for way, taken in runs.items()
    }
    base, bare = middle["plain"], middle.get("bare")
    for way, run in middle.items():
        to_bare = f"{run.calls / bare.calls:.2f}" if bare else ""
        cells = [f"{run.calls:.1f}", f"{run.calls / base.calls:.2f}", to_bare, f"{run.process:.1f}"]
        rows.append([WAYS[way][0], *cells, f"{run.process / base.process:.2f}", f"{run.cpu:.1f}", f"{run.most:.0f}"])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def compare(given: argparse.Namespace) -> None:
    """Run every way in turn, several times, and print the table."""
    pythons = dict.fromkeys(("plain", "streamed", "bare", "ours"), sys.executable)
    pythons |= {"inspect": given.inspect_python, "plurals": given.plurals_python}
    pythons["plurals-helped"] = given.plurals_python
    ways = [way for way in given.ways.split(",") if pythons[way]]
    items = workload(given.questions)
    expected = sum(len(item["voices"]) + 1 for item in items)
    runs: dict[str, list[Taken]] = {way: [] for way in ways}
    with tempfile.TemporaryDirectory() as folder, serving(DELAY, WORDS) as server:
        path = Path(folder) / "items.json"
        path.write_text(json.dumps(items))
        for number in range(given.runs):
            for way in ways[number % len(ways) :] + ways[: number % len(ways)]:
                runs[way].append(timed(way, pythons[way], server, path, given.in_flight, expected))
                print(f"{way}: {runs[way][-1]}", file=sys.stderr, flush=True)
    floor = DELAY * max(2, -(-expected // given.in_flight))
    print(f"{len(items)} questions, {expected:,} calls, at most {given.in_flight} in flight (floor {floor:.1f} s), "
          f"medians of {given.runs}.\n")  # fmt: skip
    print(table(runs))


def main() -> None:
    """Read the flags; compare, or be one of the ways."""
    flags = argparse.ArgumentParser(description="multiplex bench run beside its peers")
    flags.add_argument("--questions", type=int, default=175)
    flags.add_argument("--in-flight", type=int, default=200)
    flags.add_argument("--runs", type=int, default=3)
    flags.add_argument("--ways", default="plain,bare,ours,inspect,plurals,plurals-helped", help="of " + ", ".join(WAYS))
    flags.add_argument("--inspect-python", help="a Python with inspect-ai and openai")
    flags.add_argument("--plurals-python", help="a Python with plurals and litellm")
    for name in ("--way", "--url", "--items", "--folder"):
        flags.add_argument(name, help=argparse.SUPPRESS)
    given = flags.parse_args()
    if given.way is None:
        compare(given)
    else:
        items = json.loads(Path(given.items).read_text())
        WAYS[given.way][1](given.url, items, given.in_flight, Path(given.folder))


if __name__ == "__main__":
    main()
