"""Measures `multiplex score`: texts a second, the time to the first text, and memory over many texts.

    python benchmarks/score.py [--texts N]

Texts are answers of about 200 words, put together by a seeded draw from written sentences with and without cues.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import psutil

SENTENCES = """
Koreans greet elders first, and the youngest at the table waits until they have begun to eat.
In many Yoruba families a child is raised by the whole lineage, and praise names carry its history.
Kant asks whether the maxim of an action could be willed as a universal law for everyone.
Zakat purifies wealth by giving a fixed part of it to those who have a right to it.
The house was quiet in the afternoon, and the letters lay unopened on the table by the window.
Some people prefer to decide early, while others wait until all the facts have been gathered.
Aboriginal elders speak of Country as kin, to which people belong and for which they care.
The committee met again in Geneva in 1994 and adopted the report without a vote.
Buen vivir names a good life lived in balance with the community and with the land.
A good answer weighs what is gained against what is lost, and says who bears the cost.
Dharma differs with the stage of life, and B. R. Ambedkar rejected the order of caste built on it.
The bridge was repaired in spring, and traffic has been lighter on the northern road since then.
Children learn by watching their parents work, and by being trusted with small tasks of their own.
Utilitarians count the pleasures and pains of all who are affected, near or far, alike.
Guests are offered tea before any business is discussed, and refusing it twice is polite.
Nobody in the office could remember who had ordered the chairs or when they had arrived.
""".strip().splitlines()
WORDS = 200


def texts(count: int) -> list[str]:
    """`count` texts of about WORDS words."""
    draw = random.Random(7)
    made = []
    for _ in range(count):
        chosen: list[str] = []
        while sum(len(sentence.split()) for sentence in chosen) < WORDS:
            chosen.append(draw.choice(SENTENCES))
        made.append(" ".join(chosen))
    return made


def rate(file: Path, count: int, *flags: str) -> tuple[float, list[int]]:
    """Texts a second over the whole command, start included, and its resident bytes, sampled as it runs."""
    command = [
        sys.executable,
        "-c",
        "from multiplex.cli.main import main; main()",
        "score",
        str(file),
        "--json",
        *flags,
    ]
    started = perf_counter()
    resident = []
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            try:
                resident.append(watched.memory_info().rss)
            except psutil.NoSuchProcess:
                break
            try:
                process.wait(0.5)
            except subprocess.TimeoutExpired:
                continue
    if process.returncode:
        sys.exit(f"multiplex score exited with {process.returncode}")
    return count / (perf_counter() - started), resident


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=100_000, help="of the memory run")
    arguments = parser.parse_args()
    print("| what | texts | texts/s | resident after a tenth, MB | at most, MB |")
    print("| --- | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "texts.jsonl"

        def run(what: str, count: int, *flags: str) -> None:
            with file.open("w", encoding="utf-8") as out:
                for number, text in enumerate(texts(count)):
                    out.write(json.dumps({"id": number, "text": text}) + "\n")
            speed, resident = rate(file, count, *flags)
            early = resident[len(resident) // 10]
            print(f"| {what} | {count:,} | {speed:,.1f} | {early / 1e6:.0f} | {max(resident) / 1e6:.0f} |", flush=True)

        started = perf_counter()
        run("everything, one text", 1)
        print(f"\nImport and first text: {perf_counter() - started:.1f} s\n")
        run("named + concept, no sentiment", 5_000, "--no-sentiment")
        run("everything", 300)
        run("named + concept, no sentiment", arguments.texts, "--no-sentiment")


if __name__ == "__main__":
    main()
