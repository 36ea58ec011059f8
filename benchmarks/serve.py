"""`multiplex serve` beside plain proxies that make the same calls: many streaming clients at once, on the same machine.

    python benchmarks/serve.py
    python benchmarks/serve.py --ways ours --requests 5000    # what a server's memory does

All clients begin at once, and each asks again as soon as it has its answer. A question costs seven calls and, once they
are answered, an eighth, to a loopback server that answers after `--delay` seconds with `--words` words. The plain
proxies send our prompts and pass the eighth reply on as it comes; like ours they send a first event at once. Server,
backend and clients are processes of their own; the ways take turns. A proxy whose library is not installed is left out.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, cast

from bench import MODEL, workload
from loopback import Loopback, serving

ROOT = Path(__file__).parents[1]
QUESTION = "How should a family decide who cares for an elder?"
FIRST = b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n'
SAMPLES = 10  # times that the server's memory is looked at


# --- the servers, each run in its own process as `serve.py --serve NAME`


def ours(url: str, _: Path) -> None:
    """`multiplex serve`."""
    sys.path.insert(0, str(ROOT))
    sys.argv = ["multiplex", "serve", "--model", MODEL, "--base-url", url, "--port", "0", "--max-councils", "1000"]
    sys.argv += ["--check", "none"]
    from multiplex.cli.main import main as multiplex

    multiplex()


def httpx_proxy(url: str, item: Path) -> None:
    """A proxy over one `httpx` client; the last reply's bytes go through untouched."""
    import httpx

    client = httpx.AsyncClient(base_url=url, timeout=600, limits=httpx.Limits(max_connections=None))
    asked = json.loads(item.read_text())

    async def voice(messages: Any) -> str:
        reply = await client.post("/chat/completions", json={"model": MODEL, "messages": messages})
        return cast(str, reply.json()["choices"][0]["message"]["content"])

    async def answer() -> AsyncIterator[bytes]:
        yield FIRST
        await asyncio.gather(*map(voice, asked["voices"]))
        body = {"model": MODEL, "messages": asked["synthesis"], "stream": True}
        async with client.stream("POST", "/chat/completions", json=body) as reply:
            async for chunk in reply.aiter_bytes():
                yield chunk

    _serve(answer)


def openai_proxy(url: str, item: Path) -> None:
    """A proxy over one `openai` client, as its documentation would have it."""
    from openai import AsyncOpenAI

    client = AsyncOpenAI(base_url=url, api_key="none", max_retries=0, timeout=600)
    asked = json.loads(item.read_text())

    async def voice(messages: Any) -> str | None:
        reply = await client.chat.completions.create(model=MODEL, messages=messages)
        return reply.choices[0].message.content

    async def answer() -> AsyncIterator[bytes]:
        yield FIRST
        await asyncio.gather(*map(voice, asked["voices"]))
        async for chunk in await client.chat.completions.create(model=MODEL, messages=asked["synthesis"], stream=True):
            yield f"data: {chunk.model_dump_json()}\n\n".encode()
        yield b"data: [DONE]\n\n"

    _serve(answer)


def aiohttp_proxy(url: str, item: Path) -> None:
    """A proxy over one `aiohttp` client, whose parser is compiled; the last reply's bytes go through untouched."""
    import aiohttp  # type: ignore[import-not-found,unused-ignore]

    asked, sessions = json.loads(item.read_text()), list[aiohttp.ClientSession]()

    async def answer() -> AsyncIterator[bytes]:
        yield FIRST
        if not sessions:
            sessions.append(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))

        async def voice(messages: Any) -> str:
            body = {"model": MODEL, "messages": messages}
            async with sessions[0].post(f"{url}/chat/completions", json=body) as reply:
                return cast(str, (await reply.json())["choices"][0]["message"]["content"])

        await asyncio.gather(*map(voice, asked["voices"]))
        body = {"model": MODEL, "messages": asked["synthesis"], "stream": True}
        async with sessions[0].post(f"{url}/chat/completions", json=body) as reply:
            async for chunk in reply.content.iter_any():
                yield chunk

    _serve(answer)


def _serve(answer: Callable[[], AsyncIterator[bytes]]) -> None:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import StreamingResponse
    from starlette.routing import Route

    async def complete(request: Request) -> StreamingResponse:
        await request.json()
        return StreamingResponse(answer(), media_type="text/event-stream")

    app = Starlette(routes=[Route("/v1/chat/completions", complete, methods=["POST"])])
    config = uvicorn.Config(app, port=0, log_config=None, access_log=False, backlog=2048)
    sock = config.bind_socket()
    print(f"serving http://127.0.0.1:{sock.getsockname()[1]}/v1", flush=True)
    uvicorn.Server(config).run([sock])


WAYS: dict[str, tuple[str, Callable[[str, Path], None]]] = {
    "ours": ("`multiplex serve`", ours),
    "httpx": ("plain proxy, `httpx`", httpx_proxy),
    "openai": ("plain proxy, `openai`", openai_proxy),
    "aiohttp": ("plain proxy, `aiohttp`", aiohttp_proxy),
}


# --- the clients, together in a process of their own as `serve.py --ask URL`


@dataclass(frozen=True)
class Took:
    """One question: seconds to its first event and to its end, and what went wrong."""

    first: float
    whole: float
    error: str = ""


class Connection(asyncio.Protocol):
    """One connection that asks one question after the other, and reads no more of the answer than it must."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.answer: asyncio.Future[Took] | None = None

    def ask(self, request: bytes) -> asyncio.Future[Took]:
        """What came of a question."""
        self.came, self.first, self.began = bytearray(), 0.0, time.perf_counter()
        self.answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self.answer

    def data_received(self, data: bytes) -> None:
        self.came += data
        if not self.first and b"data:" in self.came:
            self.first = time.perf_counter() - self.began
        if self.came.endswith(b"0\r\n\r\n") or not self.came.startswith(b"HTTP/1.1 200"):
            error = b"" if b"data: [DONE]" in self.came and b'"error"' not in self.came else self.came[-300:]
            self._end(error.decode(errors="replace"))

    def connection_lost(self, _: Exception | None) -> None:
        self._end("the connection broke")

    def _end(self, error: str) -> None:
        if self.answer is not None and not self.answer.done():
            self.answer.set_result(Took(self.first, time.perf_counter() - self.began, error))


async def ask(address: str, clients: int, requests: int) -> None:
    """Ask, print a line for every tenth of the requests, and at the end everything."""
    host, port = address.split(":")
    body = json.dumps({"model": "multiplex", "stream": True, "messages": [{"role": "user", "content": QUESTION}]})
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()
    todo, took = iter(range(requests)), list[Took]()

    async def client() -> None:
        _, connection = await asyncio.get_running_loop().create_connection(Connection, host, int(port))
        for _ in todo:
            took.append(await connection.ask(request))
            if len(took) % max(1, requests // SAMPLES) == 0:
                print(len(took), flush=True)
            if took[-1].error:
                return
        connection.transport.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    print(json.dumps([asdict(each) for each in took]), flush=True)


# --- the table


@dataclass(frozen=True)
class Run:
    """One run of one way: what came of each question, and the server's processor time (s) and memory (MB)."""

    took: list[Took]
    seconds: float
    cpu: float
    resident: list[float]
    most: int


@contextmanager
def started(way: str, url: str, item: Path) -> Iterator[tuple[int, str]]:
    """A server in a process of its own: its id and its address, once it listens."""
    command = [sys.executable, __file__, "--serve", way, "--url", url, "--item", str(item)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            said = cast(IO[str], process.stdout).readline()
            if "http://" not in said:
                raise SystemExit(f"{way} does not serve: {said}")
            yield process.pid, said.split("http://")[1].split("/")[0]
        finally:
            process.terminate()


def run(way: str, backend: Loopback, item: Path, clients: int, requests: int) -> Run:
    """Start a server, warm it up with a few questions, and ask."""
    with started(way, backend.base_url, item) as (pid, address):
        list(_asked(address, 4, 8))
        backend.reset()
        cpu, began, resident = _cpu(pid), time.perf_counter(), [_resident(pid)]
        for line in _asked(address, clients, requests):
            if line.startswith("["):
                took = [Took(**each) for each in json.loads(line)]
            else:
                resident.append(_resident(pid))
        seconds = time.perf_counter() - began
        return Run(took, seconds, _cpu(pid) - cpu, resident, backend.stats()["most_in_flight"])


def _asked(address: str, clients: int, requests: int) -> Iterator[str]:
    command = [sys.executable, __file__, "--ask", address, "--clients", str(clients), "--requests", str(requests)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield from cast(IO[str], process.stdout)
    if process.returncode:
        raise SystemExit(f"the clients failed: exit {process.returncode}")


def _cpu(pid: int) -> float:
    """Seconds of processor time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident(pid: int) -> float:
    """MB of a process in memory."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def _p95(values: list[float]) -> float:
    return sorted(values)[max(0, math.ceil(0.95 * len(values)) - 1)]


def table(runs: dict[str, list[Run]]) -> str:
    """The ways beside each other: medians over their runs."""
    head = ["", "errors", "first event: median, s", "95%", "whole answer: median, s", "95%", "answers a second"]
    head += ["processor, ms an answer", "calls in flight at most", "resident at most, MB"]
    rows = [head, ["---", *["---:"] * (len(head) - 1)]]
    for way, made in runs.items():
        firsts, wholes = ([[getattr(each, name) for each in one.took] for one in made] for name in ("first", "whole"))
        figures = [
            f"{sum(bool(each.error) for one in made for each in one.took)}",
            f"{_middle(statistics.median(one) for one in firsts):.2f}",
            f"{_middle(map(_p95, firsts)):.2f}",
            f"{_middle(statistics.median(one) for one in wholes):.2f}",
            f"{_middle(map(_p95, wholes)):.2f}",
            f"{_middle(len(one.took) / one.seconds for one in made):.1f}",
            f"{1000 * _middle(one.cpu / len(one.took) for one in made):.0f}",
            f"{_middle(one.most for one in made):.0f}",
            f"{_middle(max(one.resident) for one in made):.0f}",
        ]
        rows.append([WAYS[way][0], *figures])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _middle(values: Iterable[float]) -> float:
    return statistics.median(values)


def compare(given: argparse.Namespace) -> None:
    """Run every way in turn, several times, and print the table."""
    ways = [way for way in given.ways.split(",") if way == "ours" or find_spec(way)]
    runs: dict[str, list[Run]] = {way: [] for way in ways}
    with tempfile.TemporaryDirectory() as folder, serving(given.delay, given.words) as backend:
        item = Path(folder) / "item.json"
        item.write_text(json.dumps(workload(1)[0]))
        for number in range(given.runs):
            for way in ways[number % len(ways) :] + ways[: number % len(ways)]:
                made = run(way, backend, item, given.clients, given.requests)
                runs[way].append(made)
                told = f"{way}: {made.seconds:.1f} s, resident MB: {', '.join(f'{each:.0f}' for each in made.resident)}"
                print(told, *{each.error for each in made.took if each.error}, sep="\n", file=sys.stderr, flush=True)
    print(f"{given.clients} clients, {given.requests:,} questions, medians of {given.runs}.")
    print(f"Floor of a whole answer: {2 * given.delay:.1f} s.\n")
    print(table(runs))


def main() -> None:
    """Read the flags; compare, serve or ask."""
    flags = argparse.ArgumentParser(description="multiplex serve beside plain proxies")
    flags.add_argument("--clients", type=int, default=200, help="at once")
    flags.add_argument("--requests", type=int, default=600, help="in all")
    flags.add_argument("--delay", type=float, default=0.2, help="seconds before the backend replies")
    flags.add_argument("--words", type=int, default=150, help="words of a reply")
    flags.add_argument("--runs", type=int, default=3)
    flags.add_argument("--ways", default=",".join(WAYS), help="of " + ", ".join(WAYS))
    for name in ("--serve", "--ask", "--url", "--item"):
        flags.add_argument(name, help=argparse.SUPPRESS)
    given = flags.parse_args()
    if given.serve is not None:
        WAYS[given.serve][1](given.url, Path(given.item))
    elif given.ask is not None:
        asyncio.run(ask(given.ask, given.clients, given.requests))
    else:
        compare(given)


if __name__ == "__main__":
    main()
