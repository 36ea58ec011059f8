"""Runs that are killed, refused, starved or run twice: real processes, a real server, a real file."""

from __future__ import annotations

import csv
import resource
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from multiplex.bench.store.records import Record
from multiplex.bench.store.store import Store
from multiplex.content import sha256
from tests.backend import Backend, Body, Say, asked
from tests.command import FRESH, run

QUESTIONS = 8
CALLS = QUESTIONS * (1 + 4)  # uniplex, and a council of three with its synthesis
MOST_IN_FLIGHT = 20  # --concurrency 4 doubles twice in so few calls; the rest waits for the disk
HASTY = {"MULTIPLEX_RETRIES": "0"}


def echo(body: Body, _: int) -> Say:
    """A reply that depends on the request alone, after a moment."""
    digest = sha256(f"{body.get('seed')} {asked(body)}")[:8]
    return Say(f"Reply {digest}. The elders of {digest} are heard first.", delay=0.03)


def topic(body: Body) -> int:
    """The number of the question that a request is about."""
    return int(asked(body).split("topic ")[1].split("?")[0])


@pytest.fixture
def command(tmp_path: Path, backend: Backend) -> Callable[..., list[str]]:
    """The arguments of a run in `tmp_path/NAME`."""
    path = tmp_path / "questions.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "question"])
        rows.writerows([f"q{i}", f"What do the old owe the young on topic {i}?"] for i in range(QUESTIONS))
    backend.script = echo

    def arguments(name: str = "run", strategies: str = "uniplex,multiplex", **flags: Any) -> list[str]:
        flags = {"concurrency": 4, "base-url": backend.base_url, "check": "none"} | flags
        return ["bench", "run", "--models", "m", "--questions", str(path), "--strategies", strategies,
                "--council", "islamic,african,east_asian", "--no-score", "--dir", str(tmp_path), "--name", name,
                *(part for flag, value in flags.items() for part in (f"--{flag}", str(value)))]  # fmt: skip

    return arguments


@contextmanager
def started(arguments: list[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """The command as a process of its own, which does not outlive the block."""
    with subprocess.Popen([*FRESH, *arguments], stderr=subprocess.PIPE, text=True, **options) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 100
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.002)


def records(folder: Path) -> list[Record]:
    with Store.read(folder) as store:
        return list(store.records())


def kept(folder: Path) -> int:
    """How many replies are on disk."""
    with Store.read(folder) as store:
        return sum(row.error is None for record in store.records() for row in store.calls(record.unit.id))


def answers(folder: Path) -> dict[str, str]:
    return {record.unit.id: record.answer.text for record in records(folder) if record.answer is not None}


def kinds(folder: Path) -> Counter[str]:
    """The failed units of a run by kind of failure."""
    return Counter(record.failure.kind for record in records(folder) if record.failure is not None)


def test_a_run_that_is_killed_again_and_again_makes_each_call_once_but_for_those_in_flight(
    command: Callable[..., list[str]], backend: Backend, tmp_path: Path
) -> None:
    lost = 0
    for death, after in ((signal.SIGKILL, 6), (signal.SIGINT, 20), (signal.SIGKILL, 33)):
        with started(command()) as process:
            wait_for(lambda least=after: len(backend.requests) >= least, process)  # type: ignore[misc]
            process.send_signal(death)
            said = process.communicate(timeout=60)[1]
        if death == signal.SIGINT:
            assert process.returncode == 3
            assert "stopped: interrupted" in said
            assert "the same command goes on from here" in said
        before, lost = lost, len(backend.requests) - kept(tmp_path / "run")
        assert 0 <= lost - before <= MOST_IN_FLIGHT

    assert run(*command()).returncode == 0
    assert len(backend.requests) == CALLS + lost

    again = run(*command())
    assert again.returncode == 0
    assert len(backend.requests) == CALLS + lost
    assert "16 of them done already" in again.stderr

    assert run(*command("whole", concurrency=1)).returncode == 0
    assert len(answers(tmp_path / "whole")) == 2 * QUESTIONS
    assert answers(tmp_path / "run") == answers(tmp_path / "whole")


def test_replies_that_hang_break_off_or_say_nothing_fail_their_unit_alone_and_are_tried_again(
    command: Callable[..., list[str]], backend: Backend, tmp_path: Path
) -> None:
    trouble = {
        0: Say(delay=4.0),
        1: Say(cut_after=2),
        2: Say(broken_event=True),
        3: Say(""),
        4: Say(status=503),
    }
    backend.script = lambda body, number: trouble.get(topic(body)) or echo(body, number)
    arguments, impatient = command(strategies="uniplex"), HASTY | {"MULTIPLEX_TIMEOUT": "1.5"}
    done = run(*arguments, env=impatient)
    assert done.returncode == 1
    assert "5 units failed, 62% of all, more than --max-error-rate 0.05" in done.stderr
    failed = kinds(tmp_path / "run")
    assert failed["timeout"] == failed["empty"] == 1
    assert failed["server"] + failed["unreachable"] == 3
    assert len(answers(tmp_path / "run")) == 3
    assert run(*arguments, "--max-error-rate", "0.7", env=impatient).returncode == 0

    backend.script, before = echo, len(backend.requests)
    assert run(*arguments).returncode == 0
    assert len(backend.requests) == before + 5
    assert len(answers(tmp_path / "run")) == QUESTIONS


@pytest.mark.parametrize("answers_at_all", [True, False])
def test_an_endpoint_that_refuses_everything_stops_the_run_early(
    command: Callable[..., list[str]], backend: Backend, tmp_path: Path, answers_at_all: bool
) -> None:
    backend.script = lambda *_: Say(status=401)
    place = {} if answers_at_all else {"base-url": "http://127.0.0.1:9/v1"}
    done = run(*command(epochs=5, concurrency=2, **place), env=HASTY)
    assert done.returncode == 3
    assert "stopped: 10 calls in a row failed" in done.stderr
    assert "the same command goes on from here" in done.stderr
    assert len(backend.requests) <= (10 + 2 if answers_at_all else 0)
    assert answers(tmp_path / "run") == {}


def test_a_storm_of_429_slows_the_run_and_loses_nothing(
    command: Callable[..., list[str]], backend: Backend, tmp_path: Path
) -> None:
    refused = 0

    def at_most_three(body: Body, number: int) -> Say:
        nonlocal refused
        if len(backend.requests) - len(backend.times) <= 3:
            return echo(body, number)
        refused += 1
        return Say(status=429, headers={"Retry-After": "0.2"})

    backend.script = at_most_three
    done = run(*command(concurrency=20))
    assert done.returncode == 0, done.stderr
    assert refused > 0
    assert "429, too many requests" in done.stderr
    assert len(answers(tmp_path / "run")) == 2 * QUESTIONS
    assert all(record.answer is not None and not record.answer.lost for record in records(tmp_path / "run"))
    assert len(backend.requests) == CALLS + refused


def test_a_second_run_in_the_same_folder_is_refused_and_the_first_goes_on(
    command: Callable[..., list[str]], backend: Backend, tmp_path: Path
) -> None:
    gate = tmp_path / "go"

    def slow(body: Body, number: int) -> Say:
        while not gate.exists():
            time.sleep(0.01)
        return echo(body, number)

    backend.script = slow
    with started(command()) as first:
        wait_for(lambda: len(backend.requests) > 0, first)
        second = run(*command())
        listed = run("bench", "list", "--dir", str(tmp_path))
        gate.touch()
        first.communicate(timeout=60)
    assert second.returncode == 2
    assert second.stderr.count("\n") == 1
    assert str(tmp_path / "run") in second.stderr
    assert listed.returncode == 0
    assert "run" in listed.stdout
    assert first.returncode == 0
    assert len(backend.requests) == CALLS


def test_a_disk_that_fills_stops_the_run_and_loses_nothing_that_was_written(
    command: Callable[..., list[str]], backend: Backend, tmp_path: Path
) -> None:
    def full_after_200_kb() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    with started(command(), preexec_fn=full_after_200_kb) as process:
        said = process.communicate(timeout=100)[1]
    assert process.returncode == 3
    assert "Traceback" not in said
    assert "nothing finished is lost" in said
    assert "the same command" in said
    lost = len(backend.requests) - kept(tmp_path / "run")
    assert 0 < len(backend.requests) < CALLS
    assert lost <= MOST_IN_FLIGHT

    assert run(*command()).returncode == 0
    assert len(backend.requests) == CALLS + lost
    assert len(answers(tmp_path / "run")) == 2 * QUESTIONS
