"""What README.md shows runs as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.backend import Backend, Say

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")


def test_every_python_block_runs(backend: Backend) -> None:
    backend.script = lambda body, n: Say("Ubuntu asks that kin share care.")
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) >= 2
    env = {**os.environ, "MULTIPLEX_MODEL": "m", "MULTIPLEX_BASE_URL": backend.base_url}
    for block in blocks:
        done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, timeout=120, env=env)
        assert done.returncode == 0, done.stderr
        assert "Ubuntu asks that kin share care." in done.stdout


def test_every_flag_it_names_is_there() -> None:
    env = {**os.environ, "COLUMNS": "300"}
    command = [sys.executable, "-c", "from multiplex.cli import main; main()", "answer", "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, env=env).stdout
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README)) - {"--no-deps", "--version"}
    assert named
    assert all(flag in shown for flag in named), named
