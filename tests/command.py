"""Runs the command line as its user does: a real process."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.backend import Backend

SCRIPT = "from multiplex.cli.main import main; main()"
FRESH = [sys.executable, "-W", "error::ResourceWarning", "-c", SCRIPT]
"""A program of its own, which imports everything anew."""
FORKS = f"{tempfile.gettempdir()}/forks-{os.getpid()}"
COMMAND = [sys.executable, "-IS", str(Path(__file__).with_name("forked.py")), FORKS, SCRIPT]
"""The same, forked from one that has imported everything; see forkserver.py."""


def run(
    *arguments: str, stdin: str | None = None, env: dict[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*COMMAND, *arguments],
        input=stdin if stdin is not None else "",
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **(env or {})},
        cwd=cwd,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def at(backend: Backend) -> list[str]:
    return ["--model", "test-model", "--base-url", backend.base_url]
