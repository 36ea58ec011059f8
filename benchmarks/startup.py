"""Median wall time of `multiplex --help` and `import multiplex`, beside a bare interpreter, interleaved in one run."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

RUNS = 15
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import multiplex": [sys.executable, "-c", "import multiplex"],
    "import typer": [sys.executable, "-c", "import typer"],
    "multiplex --help": [str(Path(sys.executable).with_name("multiplex")), "--help"],
}


def seconds(command: list[str]) -> float:
    """Wall seconds of one run of a command."""
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> None:
    """Print the table."""
    for command in COMMANDS.values():
        seconds(command)
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(RUNS):
        for name, command in COMMANDS.items():
            times[name].append(seconds(command))
    bare = statistics.median(times["python -c pass"])
    print("| command | median s | min s | max s | over a bare interpreter, s |\n|---|---|---|---|---|")
    for name, taken in times.items():
        middle = statistics.median(taken)
        print(f"| `{name}` | {middle:.3f} | {min(taken):.3f} | {max(taken):.3f} | {middle - bare:.3f} |")


if __name__ == "__main__":
    main()
