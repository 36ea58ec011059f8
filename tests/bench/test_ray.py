"""Work on a Ray cluster of two nodes, one of which is killed in the middle."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from multiplex.bench.store.store import Store
from multiplex.content import sha256
from multiplex.survey.readers import write_survey
from tests.backend import Backend, Body, Say
from tests.command import FRESH, run
from tests.survey.test_run import COUNTRIES, SURVEY, like_people, people

pytest.importorskip("ray", reason="Ray is not installed")
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
        self._cluster.remove_node(self._second, allow_graceful=False)
        self._second = None

    def stop(self) -> None:
        self._cluster.shutdown()


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
    killed: list[int] = []

    def kept(name: str) -> int:
        with Store.read(tmp_path / name) as store:
            return sum(usage.calls for usage in store.spent().values())

    def script(body: Body, number: int) -> Say:
        if number == 30:
            nodes.kill()
            killed.append(len(backend.requests) - kept("ray"))
        return Say(f"Reply {sha256(str(body.get('seed')))[:8]}. The elders are heard first.", delay=0.1)

    backend.script = script
    order = ["bench", "run", "--models", "m", "--base-url", backend.base_url, "--limit", "12", "--strategies",
             "uniplex,multiplex,uniplex-long", "--council", "islamic,african,east_asian", "--check", "none",
             "--no-score", "--dir", str(tmp_path), "--concurrency", "4"]  # fmt: skip
    with started(*order, "--name", "ray", "--ray", nodes.address) as process:
        said = process.communicate(timeout=150)[1]
    assert process.returncode == 0, said
    assert said.endswith("False\n")
    calls, made = 12 * (1 + 4 + 1), len(backend.requests)
    assert killed
    assert calls <= made <= calls + killed[0]
    assert run(*order, "--name", "here").returncode == 0
    assert len(backend.requests) == made + calls
    with Store.read(tmp_path / "ray") as ray, Store.read(tmp_path / "here") as here:
        texts = [[record.answer.text for record in store.records() if record.answer] for store in (ray, here)]
        assert len(texts[0]) == 36
        assert texts[0] == texts[1]
    assert kept("ray") == calls
