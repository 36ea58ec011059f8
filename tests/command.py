"""Runs the command line as its user does: a real process."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout
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


def run_here(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The same in this process, which has loaded everything: for tests of many commands, none of them killed."""
    from multiplex.cli.main import app
    from multiplex.errors import MultiplexError

    out, aside = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(aside):
        try:
            code = app(list(arguments), standalone_mode=False) or 0
        except MultiplexError as error:
            code = error.exit_code
            aside.write(f"multiplex: {error}\n")
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), aside.getvalue())


def at(backend: Backend) -> list[str]:
    return ["--model", "test-model", "--base-url", backend.base_url]
