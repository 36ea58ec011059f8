"""What a run of 10,000 units costs: seconds and memory of writing it, of its report and of its exports.

    python benchmarks/bench_size.py

Synthetic answers and scores, no model: 250 questions of seven domains, four models, five strategies, two epochs. A
multiplex answer has seven voices of 120 words and a synthesis of 300. Each step runs in a process of its own; its
memory is the largest that the process ever had resident.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

MODELS = ("model-a", "model-b", "model-c", "model-d")
STRATEGIES = ("uniplex", "multiplex", "checklist", "echo-council", "blank-council")
DOMAINS = ("ethical-moral", "religious", "lifestyle", "cultural-norms", "traditions", "history", "technology")
EPOCHS, GROUP = 2, 500
SENTENCE = "Elders in a Korean home are heard first and ubuntu says that care is shared by all kin in the village"
COUNCILS = ("multiplex", "echo-council", "blank-council")  # strategies with voices


def _text(rng: random.Random, words: int) -> str:
    words_of = SENTENCE.split()
    sentences = (" ".join(rng.choices(words_of, k=12)).capitalize() + "." for _ in range(max(1, words // 12)))
    return " ".join(sentences)


def write(folder: Path, units: int) -> None:
    """Put the units, their calls, answers and scores into a store, as a run and its scoring would."""
    import asyncio

    from multiplex.bench.plan import manifest
    from multiplex.bench.plan.questions import Question
    from multiplex.bench.plan.units import Unit, matrix
    from multiplex.bench.store.records import Score
    from multiplex.bench.store.store import Store
    from multiplex.council.answer import Answer, Voice
    from multiplex.council.personas import Council
    from multiplex.evaluation import FRAME, Evaluator, Measures, Tone
    from multiplex.llm.spec import parse_spec
    from multiplex.llm.types import Reply
    from multiplex.llm.usage import Usage

    rng, council, usage = random.Random(7), Council.load(), Usage(calls=1, input_tokens=600, output_tokens=150)
    each = len(MODELS) * len(STRATEGIES) * EPOCHS
    questions = [
        Question(id=f"q{i}", question=f"Question {i}: who is heard?", domain=DOMAINS[i % 7], cued=i % 2 == 0)
        for i in range(-(-units // each))
    ]
    evaluator, tone = Evaluator(sentiment=False), Tone(positive=0.5, neutral=0.3, negative=0.2)
    read = [evaluator.measure(_text(rng, 300)) for _ in range(50)]
    toned: list[Measures] = [
        each.model_copy(update={"sentiment": tone, "stance": {name: tone for name in FRAME if each.counts[name]}})
        for each in read
    ]

    def answer(unit: Unit) -> Answer:
        voices = tuple(
            Voice(persona=who.name, perspective=who.perspective, title=who.title, model=unit.model,
                  text=_text(rng, 120), usage=usage, seconds=1.0)
            for who in council.personas
        ) if unit.strategy in COUNCILS else ()  # fmt: skip
        return Answer(strategy=unit.strategy, text=_text(rng, 300), model=unit.model, voices=voices, rounds=voices,
                      prompt=_text(rng, 400), usage=usage, seconds=2.0)  # fmt: skip

    async def done(store: Store, unit: Unit) -> None:
        made = answer(unit)
        ledger = store.ledger(unit.id)
        for number, text in enumerate([*(voice.text for voice in made.voices), made.text]):
            await ledger.keep(f"{unit.id}-{number}", Reply(text, usage, 1.0))
        await store.finish(unit.id, made)

    async def every(store: Store, work: tuple[Unit, ...]) -> None:
        for start in range(0, len(work), GROUP):
            await asyncio.gather(*(done(store, unit) for unit in work[start : start + GROUP]))

    def score(unit: Unit) -> Score:
        voices = {name: {other: rng.randrange(3) for other in FRAME} for name in council.perspectives}
        return Score(measures=rng.choice(toned), voices=voices if unit.strategy in COUNCILS else {})

    work = matrix(questions, MODELS, STRATEGIES, EPOCHS, 7)[:units]
    with Store.open(folder, create=True) as store:
        specs = [parse_spec(name, "http://127.0.0.1:9/v1") for name in MODELS]
        store.write_manifest(manifest.made(council, specs, 7, 1, "default", council.quorum, "synthetic"))
        store.add(work)
        asyncio.run(every(store, work))
        store.write_scoring("synthetic", "{}")
        for start in range(0, len(work), GROUP):
            store.keep_scores("synthetic", {unit.id: score(unit) for unit in work[start : start + GROUP]})


def command(*arguments: str) -> None:
    """Run a command of `multiplex bench`."""
    sys.argv = ["multiplex", "bench", *arguments]
    from multiplex.cli.main import main as multiplex

    multiplex()


def read(folder: Path) -> None:
    """Walk through every record."""
    from multiplex.bench.store.store import Store

    with Store.read(folder) as store:
        print(sum(len(record.answer.text) for record in store.records() if record.answer is not None))


def steps(units: int) -> dict[str, Callable[[Path], None]]:
    """What is measured, in order."""
    return {
        "write units, calls, answers and scores": lambda folder: write(folder, units),
        "read every record": read,
        "`multiplex bench verify`": lambda folder: command("verify", str(folder)),
        "`multiplex bench list`": lambda folder: command("list", "--dir", str(folder.parent)),
        "`multiplex bench report`": lambda folder: command("report", str(folder)),
        "`multiplex bench compare` with itself": lambda folder: command("compare", str(folder), str(folder)),
        "`multiplex bench export`, JSONL": lambda folder: command(
            "export", str(folder), "--output", str(folder / "all.jsonl")
        ),
    }


def main() -> None:
    """Print the table; or, told a step, be it."""
    flags = argparse.ArgumentParser(description="What a large run costs")
    flags.add_argument("--units", type=int, default=10_000)
    flags.add_argument("--step", type=int, help=argparse.SUPPRESS)
    flags.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = flags.parse_args()
    wanted = steps(given.units)
    if given.step is not None:
        list(wanted.values())[given.step](given.folder)
        return
    print(f"{given.units:,} units.\n\n| step | seconds | at most resident, MB |\n|---|---:|---:|")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "synthetic"
        for number, name in enumerate(wanted):
            call = [
                sys.executable,
                __file__,
                "--units",
                str(given.units),
                "--step",
                str(number),
                "--folder",
                str(folder),
            ]
            began = time.perf_counter()
            with subprocess.Popen(call, stdout=subprocess.DEVNULL) as process:
                _, status, used = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                raise SystemExit(f"{name}: exit {process.returncode}")
            print(f"| {name} | {time.perf_counter() - began:.1f} | {used.ru_maxrss / 1024:.0f} |", flush=True)
        sizes = {path.name: path.stat().st_size / 1e6 for path in sorted(folder.iterdir()) if path.is_file()}
    print("\n" + ", ".join(f"{name} {size:.0f} MB" for name, size in sizes.items() if size >= 1))


if __name__ == "__main__":
    main()
