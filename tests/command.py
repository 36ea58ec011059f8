"""Runs the command line as its user does: a real process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.backend import Backend

COMMAND = [sys.executable, "-W", "error::ResourceWarning", "-c", "from multiplex.cli.main import main; main()"]


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
