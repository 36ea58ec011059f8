"""What README.md and docs/ show runs as it stands there."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.backend import Backend, Say
from tests.command import run

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
DOCS = {path.name: path.read_text("utf-8") for path in sorted((ROOT / "docs").glob("*.md"))}
ANSWERS = [
    {"id": "a", "text": "Koreans greet elders first.", "reply": "Ubuntu asks that kin share care.", "model": "m"},
    {"id": "b", "text": "Muslims pay zakat.", "reply": "The house was quiet.", "model": "n"},
]


def test_every_python_block_runs(backend: Backend) -> None:
    backend.script = lambda body, n: Say("Ubuntu asks that kin share care.")
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) >= 2
    env = {**os.environ, "MULTIPLEX_MODEL": "m", "MULTIPLEX_BASE_URL": backend.base_url}
    for block in blocks:
        done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, timeout=120, env=env)
        assert done.returncode == 0, done.stderr
        assert "Ubuntu asks that kin share care." in done.stdout


def test_every_flag_they_name_is_there() -> None:
    benches = (
        ("bench", name)
        for name in ("run", "score", "report", "verify", "compare", "list", "show", "export", "blind", "ratings")
    )
    commands = (("answer",), ("score",), ("validate",), ("serve",), ("mcp",), *benches)
    shown = "".join(run(*command, "--help", env={"COLUMNS": "300"}).stdout for command in commands)
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README + "".join(DOCS.values())))
    assert named
    assert {flag for flag in named if flag not in shown} <= {"--no-deps", "--version"}


@pytest.mark.parametrize("document", DOCS)
def test_every_score_command_runs(document: str, tmp_path: Path) -> None:
    lines = [line for block in re.findall(r"```sh\n(.*?)```", DOCS[document], re.DOTALL) for line in block.splitlines()]
    commands = [line for line in lines if line.startswith("multiplex score")]
    (tmp_path / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ANSWERS))
    rows = "".join(f"{row['id']},{row['reply']},{row['model']}\n" for row in ANSWERS)
    (tmp_path / "answers.csv").write_text("id,reply,model\n" + rows)
    for command in commands:
        arguments = shlex.split(command.partition(">")[0], comments=True)[1:]
        done = run(*arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "2 measured, 0 skipped" in done.stderr
