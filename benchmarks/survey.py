"""A survey run of 10,000 units beside a benchmark run of as many, and its report.

    python benchmarks/survey.py [--units 10000] [--in-flight 200]

Both runs make a call a unit to a loopback server that answers after 200 ms; each command is a process of its own. The
survey is made up: the countries of the gazetteer, questions of four options, the default council, one country in ten.
`python benchmarks/bench_size.py` has the report of a benchmark of 10,000 units.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from loopback import Loopback, serving

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

COMMAND = [sys.executable, "-c", "from multiplex.cli.main import main; main()"]
COUNTRIES = ("USA", "DEU", "EGY", "IDN", "CHN", "JPN", "IND", "BGD", "NGA", "KEN", "BRA", "MEX")
OPTIONS = ("Never", "Rarely", "Often", "Always")
FORMS = 4  # two orders of two label sets
RESPONDENTS = 7 + 2 * len(COUNTRIES) + 1  # personas, countries in one line, forecasts, plain
QUESTIONS = 175


def write(path: Path, questions: int) -> None:
    """A survey of so many questions, with answers that differ between countries."""
    from multiplex.survey.data import Survey, SurveyQuestion, even_scale
    from multiplex.survey.readers import write_survey

    rng = random.Random(7)

    def shares() -> tuple[float, ...]:
        weights = [rng.random() for _ in OPTIONS]
        return tuple(weight / sum(weights) for weight in weights)

    asked = [
        SurveyQuestion(id=f"q{n}", text=f"How often does matter {n} come up?", options=OPTIONS, scale=even_scale(4))
        for n in range(questions)
    ]
    answers = {question.id: {code: shares() for code in COUNTRIES} for question in asked}
    write_survey(Survey(name="synthetic", questions=tuple(asked), shares=answers), path)


def timed(*arguments: str) -> tuple[float, float, float]:
    """Seconds of a command, its seconds of processor, and the most memory that it had resident, MB."""
    began = time.perf_counter()
    with subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{arguments}: exit {process.returncode}")
    return time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def tell(name: str, taken: tuple[float, float, float], server: Loopback | None = None) -> None:
    """A line of the table."""
    seen = server.stats() if server else None
    calls = f"{seen['calls']:,} | {seen['last'] - seen['first']:.1f}" if seen else " | "
    print(f"| {name} | {calls} | {taken[0]:.1f} | {taken[1]:.1f} | {taken[2]:.0f} |", flush=True)


def main() -> None:
    """Read the flags and print the table."""
    flags = argparse.ArgumentParser(description="A survey run beside a benchmark run")
    flags.add_argument("--units", type=int, default=10_000)
    flags.add_argument("--in-flight", type=int, default=200)
    given = flags.parse_args()
    print("| | calls | first call to last reply, s | whole process, s | processor, s | at most resident, MB |")
    print("|---|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as place, serving(words=50) as server:
        folder, survey = Path(place), Path(place) / "synthetic.jsonl"
        write(survey, -(-given.units // (FORMS * RESPONDENTS)))
        to = ["--models", "loopback", "--base-url", server.base_url, "--dir", place]
        to += ["--concurrency", str(given.in_flight)]
        epochs = str(-(-given.units // QUESTIONS))
        taken = timed("bench", "run", *to, "--strategies", "uniplex", "--epochs", epochs, "--no-score", "--name", "b")
        tell("`multiplex bench run`, one call a unit", taken, server)
        server.reset()
        tell("`multiplex survey run`, its report too", timed("survey", "run", str(survey), *to, "--name", "s"), server)
        tell("`multiplex survey report`", timed("survey", "report", str(folder / "s")))
        tell("`multiplex bench verify` of the survey", timed("bench", "verify", str(folder / "s")))


if __name__ == "__main__":
    main()
