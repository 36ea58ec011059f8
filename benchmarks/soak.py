"""What a server's memory does while it answers for minutes, and what a thousand idle connections do to the next client.

    python benchmarks/soak.py --minutes 8
    python benchmarks/soak.py --minutes 0 --idle 1000

Clients ask `multiplex serve` over a loopback backend without a pause: with measures, streamed and whole, on threads
that grow to twenty turns and are then deleted. The table has a line for every part of the time: answers so far, the
server's resident memory, and the slowest `/healthz` that was asked for once a second beside them. Memory is flat where
the last third stands no higher than the second; what is read once (the evaluator, its vectors) is read in the first.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

import httpx
from bench import MODEL
from loopback import serving

ROOT = Path(__file__).parents[1]
TURNS = 20  # of a thread before it is deleted
LINES = 16  # of the table
QUESTIONS = (
    "What do we owe the dead?",
    "Who should care for ageing parents?",
    "Is it ever right to break a promise?",
    "Whose land is it?",
    "What makes a good teacher?",
)


@dataclass
class Seen:
    """What the clients saw: answers, errors, and the slowest health check since it was last looked at (s)."""

    answers: int = 0
    errors: list[str] = field(default_factory=list)
    slowest: float = 0.0


async def ask(client: httpx.AsyncClient, seen: Seen, number: int, until: float) -> None:
    """Ask one question after another on threads of this client's own until the time is up."""
    turn = 0
    while time.monotonic() < until:
        thread = f"{number}-{turn // TURNS}"
        body = {
            "model": "multiplex",
            "messages": [{"role": "user", "content": f"{QUESTIONS[turn % len(QUESTIONS)]} ({number}, {turn})"}],
            "metadata": {"thread_id": thread, "measures": "true"},
            "stream": turn % 2 == 0,
        }
        reply = await client.post("/v1/chat/completions", json=body)
        if reply.status_code == 200 and '"error"' not in reply.text:
            seen.answers += 1
        else:
            seen.errors.append(reply.text[:300])
        turn += 1
        if turn % TURNS == 0:
            await client.delete(f"/v1/threads/{thread}")


async def watch(client: httpx.AsyncClient, seen: Seen, until: float) -> None:
    """Ask for the server's health once a second."""
    while time.monotonic() < until:
        began = time.perf_counter()
        (await client.get("/healthz")).raise_for_status()
        seen.slowest = max(seen.slowest, time.perf_counter() - began)
        await asyncio.sleep(1)


async def soak(address: str, pid: int, minutes: float, clients: int) -> None:
    """Print the table of memory."""
    seen, began = Seen(), time.monotonic()
    until = began + 60 * minutes
    print("| minute | answers | resident, MB | slowest /healthz, s |\n|---:|---:|---:|---:|", flush=True)
    async with httpx.AsyncClient(base_url=address, timeout=600) as client:
        work = asyncio.gather(watch(client, seen, until), *(ask(client, seen, i, until) for i in range(clients)))
        for line in range(1, LINES + 1):
            await asyncio.sleep(max(0.0, began + 60 * minutes * line / LINES - time.monotonic()))
            now = (time.monotonic() - began) / 60
            print(f"| {now:.1f} | {seen.answers} | {resident(pid):.0f} | {seen.slowest:.2f} |", flush=True)
            seen.slowest = 0.0
        await work
    print(f"\n{clients} clients, {len(seen.errors)} errors", *seen.errors[:3])


def idle(address: str, number: int) -> None:
    """Open connections that send nothing, then ask for the server's health as one client more."""
    host, port = address.removeprefix("http://").split(":")
    resource.setrlimit(resource.RLIMIT_NOFILE, (number + 256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    with ExitStack() as held:
        for _ in range(number):
            held.enter_context(socket.create_connection((host, int(port)), timeout=10))
        began = time.perf_counter()
        code = httpx.get(f"{address}/healthz", timeout=30).status_code
        print(f"{number} idle connections: the next client has {code} after {time.perf_counter() - began:.2f} s")


def resident(pid: int) -> float:
    """MB of a process in memory."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def main() -> None:
    """Start a backend and a server, and print what was asked for."""
    flags = argparse.ArgumentParser(description="the memory of multiplex serve over minutes")
    flags.add_argument("--minutes", type=float, default=8)
    flags.add_argument("--clients", type=int, default=4, help="at once")
    flags.add_argument("--idle", type=int, default=0, help="connections that send nothing")
    flags.add_argument("--words", type=int, default=150, help="words of a reply")
    given = flags.parse_args()
    start = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from multiplex.cli.main import main; main()"
    with tempfile.TemporaryDirectory() as folder, serving(0.05, given.words) as backend:
        command = [
            sys.executable,
            "-c",
            start,
            "serve",
            "--model",
            MODEL,
            "--base-url",
            backend.base_url,
            "--port",
            "0",
        ]
        command += ["--memory", f"{folder}/memory.sqlite", "--check", "none"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            try:
                said = cast(IO[str], process.stdout).readline()
                address = said.split()[1].removesuffix("/v1:") if said.startswith("serving ") else ""
                if not address:
                    raise SystemExit(f"the server does not serve: {said}")
                if given.idle:
                    idle(address, given.idle)
                if given.minutes:
                    asyncio.run(soak(address, process.pid, given.minutes, given.clients))
            finally:
                process.terminate()


if __name__ == "__main__":
    main()
