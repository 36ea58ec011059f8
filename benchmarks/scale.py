"""What several processes, a Ray cluster of two nodes, and provider batches take, each beside one process.

    python benchmarks/scale.py [--texts 200000] [--parts 20] [--questions 175] [--only score,bench,batch]

Prints a table for each. Scores are named + concept without a tone. Every way of scoring must give the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.backend import Body, Say, running  # noqa: E402
from tests.batch_backend import serving  # noqa: E402

COMMAND = [sys.executable, "-c", "from multiplex.cli.main import main; main()"]
SENTENCES = (
    "Koreans greet elders first, and nobody sits before they do.", "Ubuntu asks that kin share care with kin.",
    "Muslims give zakat of what they own.", "It depends on what the family can bear.", "Many prefer to ask a friend.",
    "In Peru the ayni binds neighbours to help.", "Kant held that a person is never a means alone.", "Some disagree.",
)  # fmt: skip


def run(*arguments: str) -> tuple[float, float, float]:
    """Seconds of a command, the most memory that its process took (MB), and its seconds of processor."""
    began = time.monotonic()
    with subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        said: list[bytes] = []
        reader = threading.Thread(target=lambda: said.append(process.stderr.read() if process.stderr else b""))
        reader.start()
        _, status, used = os.wait4(process.pid, 0)
        reader.join()
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{arguments}: {said[0].decode()[-2000:]}")
    return time.monotonic() - began, used.ru_maxrss / 1024, used.ru_utime + used.ru_stime


@contextmanager
def two_nodes() -> Iterator[str]:
    """The address of a Ray cluster of two nodes of one core."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    cluster: Any = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    try:
        yield str(cluster.address)
    finally:
        cluster.shutdown()


@contextmanager
def worker_memory() -> Iterator[list[float]]:
    """The most memory (MB) that any worker of Ray on this machine had, seen each second while the block lasts."""
    seen, ended = [0.0], threading.Event()

    def look() -> None:
        while not ended.wait(1):
            for status in Path("/proc").glob("[0-9]*/status"):
                try:
                    if status.with_name("cmdline").read_bytes().startswith(b"ray::"):
                        said = dict(line.split(":", 1) for line in status.read_text().splitlines())
                        seen.append(int(said["VmHWM"].split()[0]) / 1024)
                except OSError:  # it has just ended
                    continue

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield seen
    finally:
        ended.set()
        looking.join()


def score(folder: Path, texts: int, parts: int) -> None:
    source = folder / "texts"
    source.mkdir()
    each = texts // parts
    for part in range(parts):
        with (source / f"{part:04}.jsonl").open("w", encoding="utf-8") as out:
            for row in range(part * each, (part + 1) * each):
                said = " ".join(SENTENCES[(row * 7 + k * k) % len(SENTENCES)] for k in range(12))
                out.write(json.dumps({"text": f"{said} {row}"}) + "\n")

    def order(name: str, *more: str, of: str = "") -> tuple[float, float, float]:
        return run("score", str(source / of), "--no-sentiment", "--out", str(folder / name), *more)

    def digest(name: str) -> str:
        made = hashlib.sha256()
        for path in sorted((folder / name).iterdir()):
            if not path.name.endswith(".part.json"):
                made.update(path.read_bytes())
        return made.hexdigest()[:12]

    print(f"\nscore: {parts * each:,} texts of 12 sentences in {parts} parts, named + concept\n")
    print("| way | seconds | texts a second | of twice one process | driver's memory, MB | its core-seconds | bytes |")
    print("|---|---|---|---|---|---|---|")
    one, most, spent = order("one")

    def tell(name: str, seconds: float, memory: float, core: float) -> None:
        print(f"| {name} | {seconds:.1f} | {parts * each / seconds:,.0f} | {one / 2 / seconds:.2f} | {memory:.0f} | "
              f"{core:.1f} | {digest(name)} |", flush=True)  # fmt: skip

    tell("one", one, most, spent)
    began = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda part: order("shards", "--shard", f"{part}/2"), (1, 2)))
    tell("shards", time.monotonic() - began, max(each[1] for each in both), sum(each[2] for each in both))
    with two_nodes() as address:
        order("warm", "--ray", address, of="000[01].jsonl")  # a part for each node, which starts its worker
        with worker_memory() as seen:
            tell("ray", *order("ray", "--ray", address))
        print(f"\nMost memory of a worker of Ray: {max(seen):.0f} MB")


def bench(folder: Path, questions: int) -> None:
    print(f"\nbench: {questions} questions, uniplex and a council of six with its synthesis, a reply after 200 ms\n")
    print("| way | calls | seconds | of local | memory of the driver, MB |")
    print("|---|---|---|---|---|")
    council = "islamic,african,east_asian,western,south_asian,indigenous"
    with running() as backend, two_nodes() as address:
        backend.script = _slow
        local = 0.0
        for name, more in (("local", ()), ("ray", ("--ray", address))):
            before = len(backend.requests)
            seconds, memory, _ = run(
                "bench", "run", "--models", "m", "--base-url", backend.base_url, "--limit", str(questions),
                "--strategies", "uniplex,multiplex", "--council", council, "--check", "none", "--no-score",
                "--dir", str(folder), "--name", name, *more,
            )  # fmt: skip
            local = local or seconds
            made = len(backend.requests) - before
            print(f"| {name} | {made:,} | {seconds:.1f} | {seconds / local:.2f} | {memory:.0f} |", flush=True)


def batch(folder: Path, questions: int) -> None:
    print(f"\nbatch: {questions} questions, three strategies, a council of three; each line is one start\n")
    print("| start | batches so far | calls paid | seconds |")
    print("|---|---|---|---|")
    with serving() as backend:
        for start in range(1, 9):
            seconds, *_ = run(
                "bench", "run", "--models", "m", "--base-url", backend.url, "--limit", str(questions), "--strategies",
                "uniplex,multiplex,uniplex-long", "--council", "islamic,african,east_asian", "--check", "none",
                "--no-score", "--dir", str(folder), "--name", "batch", "--batch",
            )  # fmt: skip
            print(f"| {start} | {len(backend.batches)} | {len(backend.asked):,} | {seconds:.1f} |", flush=True)
            if all(each["status"] == "completed" for each in backend.batches.values()) and start > 3:
                return


def _slow(_: Body, __: int) -> Say:
    return Say(delay=0.2)


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--texts", type=int, default=200_000)
    flags.add_argument("--parts", type=int, default=20)
    flags.add_argument("--questions", type=int, default=175)
    flags.add_argument("--only", default="score,bench,batch")
    asked = flags.parse_args()
    only = asked.only.split(",")
    with tempfile.TemporaryDirectory() as folder:
        if "score" in only:
            score(Path(folder), asked.texts, asked.parts)
        if "bench" in only:
            bench(Path(folder), asked.questions)
        if "batch" in only:
            batch(Path(folder), asked.questions)


if __name__ == "__main__":
    main()
