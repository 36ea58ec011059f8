"""Work on a Ray cluster of two nodes, one of which is killed in the middle."""

from __future__ import annotations

import asyncio
import io
import json
import os
import platform
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from rich.console import Console

from multiplex.bench.execute.executor import NoWorkerError
from multiplex.bench.execute.progress import Progress
from multiplex.bench.execute.runner import Outcome, Runner
from multiplex.bench.parts.plan import CorpusPart, describe
from multiplex.bench.plan.budget import Budget
from multiplex.bench.plan.units import Unit, matrix
from multiplex.bench.ray.executor import RayExecutor, ray_executor
from multiplex.bench.ray.parts import _measured
from multiplex.bench.ray.worker import Installation, UnitWorker
from multiplex.bench.store.store import Store
from multiplex.content import sha256
from multiplex.council.answer import Answer
from multiplex.errors import UsageError
from multiplex.evaluation.extraction.frames import load_frames
from multiplex.llm.chat import Chat
from multiplex.survey.readers import write_survey
from tests.backend import Backend, Body, Say
from tests.bench.test_runner import COUNCIL, QUESTIONS, spec
from tests.command import FRESH, run
from tests.ports import reserved_port
from tests.serve.luck import until
from tests.survey.test_run import COUNTRIES, SURVEY, like_people, people

pytest.importorskip("ray", reason="Ray is not installed")
UNITS = matrix(QUESTIONS, ["m"], ["uniplex"], 4, seed=7)
WATCHED = (
    "import atexit, sys; atexit.register(lambda: print('torch' in sys.modules, file=sys.stderr));"
    "from multiplex.cli.main import main; main()"
)


class Nodes:
    """A cluster: a head that stays, and a node that can be killed and had anew."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self._cluster: Any = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        self.address = str(self._cluster.address)
        self._second: Any = None

    def add(self) -> None:
        if self._second is None:
            self._second = self._cluster.add_node(num_cpus=1)
            self._cluster.wait_for_nodes()

    def kill(self) -> None:
        """Returns when the processes of the node's workers are gone too: they outlive the node for a moment."""
        (raylet,) = self._second.all_processes["raylet"]
        workers = psutil.Process(raylet.process.pid).children(recursive=True)
        self._cluster.remove_node(self._second, allow_graceful=False)
        self._second = None
        until(lambda: not any(map(alive, workers)), "the workers' end", 60)

    def stop(self) -> None:
        self._cluster.shutdown()


def alive(process: psutil.Process) -> bool:
    """Nobody may be there to reap a process that its parent has left."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    made = Nodes()
    yield made
    made.stop()


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [*FRESH[:-1], WATCHED, *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_node_that_dies_while_parts_are_scored_costs_nothing_but_time(nodes: Nodes, tmp_path: Path) -> None:
    nodes.add()
    texts = tmp_path / "texts"
    texts.mkdir()
    for number in range(8):
        rows = ({"text": f"Koreans greet elders first. Muslims give zakat. {number} {i}."} for i in range(600))
        (texts / f"{number}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    order = ("score", str(texts), "--no-sentiment", "--out")
    with started(*order, str(tmp_path / "ray"), "--ray", nodes.address) as process:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if line.startswith("1 of 8"):
                nodes.kill()
        assert process.wait(100) == 0, said
    assert said[-1] == "False\n", said
    done = run(*order, str(tmp_path / "here"))
    assert done.returncode == 0, done.stderr
    for path in (tmp_path / "here").iterdir():
        if not path.name.endswith(".part.json"):
            assert (tmp_path / "ray" / path.name).read_bytes() == path.read_bytes()


def test_a_survey_is_asked_on_a_cluster(nodes: Nodes, backend: Backend, tmp_path: Path) -> None:
    backend.script = like_people
    write_survey(SURVEY, tmp_path / "made-up.jsonl")
    done = run("survey", "run", str(tmp_path / "made-up.jsonl"), "--models", "m", "--base-url", backend.base_url,
               "--council", "islamic", "--respondents", "personas,plain", "--questions", "q0", "--dir", str(tmp_path),
               "--ray", nodes.address, "--shard", "1/1")  # fmt: skip
    assert done.returncode == 0, done.stderr
    with Store.read(tmp_path / "made-up.1-of-1") as store:
        answers = [(record.unit.strategy, record.answer) for record in store.records()]
    assert [name for name, _ in answers] == ["persona:islamic"] * 4 + ["plain"] * 4
    for (_, answer), code in zip(answers, ["EGY"] * 4 + ["FRA"] * 4, strict=True):
        assert answer is not None
        assert answer.voices[0].choice is not None
        assert answer.voices[0].choice.shares == pytest.approx(people(COUNTRIES[code], 0))


def test_a_node_that_dies_in_a_bench_run_loses_no_reply_and_only_calls_in_flight_are_made_again(
    nodes: Nodes, backend: Backend, tmp_path: Path
) -> None:
    nodes.add()
    in_flight: list[int] = []

    def kept(name: str) -> int:
        with Store.read(tmp_path / name) as store:
            return sum(usage.calls for usage in store.spent().values())

    def script(body: Body, number: int) -> Say:
        if number == 30:
            nodes.kill()
            replies = kept("ray")  # read first: what is asked and kept meanwhile was in flight on neither node
            in_flight.append(len(backend.requests) - replies)
        return Say(f"Reply {sha256(str(body.get('seed')))[:8]}. The elders are heard first.", delay=0.1)

    backend.script = script
    order = ["bench", "run", "--models", "m", "--base-url", backend.base_url, "--limit", "12", "--strategies",
             "uniplex,multiplex,uniplex-long", "--council", "islamic,african,east_asian", "--check", "none",
             "--no-score", "--dir", str(tmp_path), "--concurrency", "4"]  # fmt: skip
    with started(*order, "--name", "ray", "--ray", nodes.address) as process:
        said = process.communicate(timeout=400)[1]
    assert process.returncode == 0, said
    assert said.endswith("False\n")
    calls, made = 12 * (1 + 4 + 1), len(backend.requests)
    assert in_flight
    assert calls <= made <= calls + in_flight[0]
    assert run(*order, "--name", "here").returncode == 0
    assert len(backend.requests) == made + calls
    with Store.read(tmp_path / "ray") as ray, Store.read(tmp_path / "here") as here:
        texts = [[record.answer.text for record in store.records() if record.answer] for store in (ray, here)]
        assert len(texts[0]) == 36
        assert texts[0] == texts[1]
    assert kept("ray") == calls


def test_an_address_where_nothing_listens_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "Koreans greet elders first."}')
    with reserved_port() as port:
        done = run("score", str(tmp_path / "a.jsonl"), "--out", str(tmp_path / "out"), "--ray", f"127.0.0.1:{port}")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "no cluster can be reached there ([Errno 111] Connection refused)" in done.stderr


def test_a_cluster_without_the_key_is_refused_before_anything_is_sent(
    nodes: Nodes, backend: Backend, tmp_path: Path
) -> None:
    done = run("bench", "run", "--models", "m", "--base-url", backend.base_url, "--limit", "1", "--strategies",
               "uniplex", "--dir", str(tmp_path), "--api-key-env", "KEY_OF_ONE", "--ray", nodes.address,
               env={"KEY_OF_ONE": "k"})  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert f"Ray's worker on {platform.node()} cannot work: model 'm' needs a key: set KEY_OF_ONE" in done.stderr
    assert backend.requests == []


async def test_a_worker_that_is_installed_otherwise_does_no_unit_and_measures_no_part(tmp_path: Path) -> None:
    here = Installation.here()
    for other, said in (
        (Installation("9.9", here.content), f"has version {here.version} of multiplex, this process 9.9"),
        (Installation(here.version, "x"), "has other prompts, personas or word lists"),
    ):
        worker = UnitWorker((), 1, other)
        assert said in await worker.unfit()
        error = await worker.answer(UNITS[0], None, (), None, ())
        assert isinstance(error, NoWorkerError)
    part = CorpusPart(tmp_path / "a.jsonl", "a.jsonl", tmp_path)
    measuring = describe(frame=load_frames(None)[0], cues=("named",))
    for changed, said in (({"version": "9.9"}, "this process 9.9"), ({"content": "x"}, "has other word lists")):
        refusal = _measured(part, measuring.model_copy(update=changed))
        assert isinstance(refusal, UsageError)
        assert said in str(refusal)


async def test_what_a_worker_asks_is_told_again_until_its_driver_has_it() -> None:
    worker = UnitWorker((), 1, Installation.here())
    lost, heard = asyncio.create_task(worker.asked("")), asyncio.create_task(worker.asked(""))
    await asyncio.sleep(0)
    first = asyncio.create_task(worker.ask("unit", "begin", "key"))
    assert (await lost)[0] == (await heard)[0] == (await worker.asked(""))[0]
    (request,), _ = await heard
    later = asyncio.create_task(worker.asked(request.number))
    second = asyncio.create_task(worker.ask("unit", "admit", "key"))
    assert [each.method for each in (await later)[0]] == ["admit"]
    await worker.told(request.number, None)
    await worker.told((await later)[0][0].number, None)
    await asyncio.gather(first, second)


async def test_a_unit_that_a_worker_is_asked_for_twice_is_done_and_paid_once(backend: Backend) -> None:
    worker = UnitWorker((spec(backend),), 1, Installation.here())
    council = asyncio.get_running_loop().create_future()
    council.set_result(COUNCIL)

    async def lend() -> None:
        seen = ""
        while True:
            asked, _ = await worker.asked(seen)
            for each in asked:
                await worker.told(each.number, None)
            seen = asked[-1].number

    lending = asyncio.create_task(lend())
    first, second = await asyncio.gather(*(worker.answer(UNITS[0], None, (), None, [council]) for _ in range(2)))
    lending.cancel()
    await worker._chats["m"].aclose()
    assert isinstance(first, Answer)
    assert first is second
    assert len(backend.requests) == 1


@pytest.mark.enable_socket  # nodes have the address of this machine, which is not among those allowed
def test_a_worker_that_is_dead_for_good_is_left_out_and_the_run_stops_with_the_last(
    nodes: Nodes, backend: Backend, tmp_path: Path
) -> None:
    nodes.add()
    model = spec(backend, limit=4)
    with Store.open(tmp_path, create=True) as store:
        store.add(UNITS)

        def outcome(executor: RayExecutor, units: Sequence[Unit]) -> Outcome:
            with Progress(Console(file=io.StringIO()), len(units)) as watch:
                runner = Runner(store, {"m": Chat(model)}, COUNCIL, Budget(), watch, executor=executor)
                return asyncio.run(runner.run(units))

        with ray_executor(nodes.address, [model], COUNCIL) as executor:
            first, second = executor._workers
            executor._ray.kill(first)
            assert outcome(executor, UNITS[:8]) == Outcome(8, 0, 0)
            backend.script = lambda *_: executor._ray.kill(second) or Say(delay=60)
            stopped = outcome(executor, UNITS)
    assert (stopped.done, stopped.failed, stopped.pending) == (8, 0, 8)
    assert "every worker on the Ray cluster has died" in str(stopped.stopped)
