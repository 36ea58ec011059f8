"""What README.md and docs/ show runs as it stands there, and docs/cli.md holds the help of every command.

`WRITE_CLI_HELP=1 python -m pytest tests/test_readme.py -k help` writes docs/cli.md anew.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from multiplex import Chat, ModelSpec, answer
from multiplex.cli.main import app
from tests.backend import Backend, Say
from tests.command import COMMAND, run

ROOT = Path(__file__).parents[1]
CLI = ROOT / "docs" / "cli.md"
PATHS = [*(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")), *sorted(CLI.parent.glob("*.md"))]
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in PATHS}
WIDTH = 100  # columns of docs/cli.md
CLI_HEAD = """# Every command

The help of every command, as `--help` prints it. A test holds this page to the code.
"""
ANSWERS = [
    {"id": "a", "text": "Koreans greet elders first.", "reply": "Ubuntu asks that kin share care.", "model": "m"},
    {"id": "b", "text": "Muslims pay zakat.", "reply": "The house was quiet.", "model": "n"},
]


def test_every_python_block_runs(backend: Backend) -> None:
    backend.script = lambda body, n: Say("Ubuntu asks that kin share care.")
    blocks = [block for page in PAGES.values() for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL)]
    assert len(blocks) >= 2
    env = {**os.environ, "MULTIPLEX_MODEL": "m", "MULTIPLEX_BASE_URL": backend.base_url}
    for block in blocks:
        done = subprocess.run([*COMMAND[:-1], block], capture_output=True, text=True, timeout=120, env=env)
        assert done.returncode == 0, done.stderr
        assert "Ubuntu asks that kin share care." in done.stdout


def test_docs_cli_holds_the_help_of_every_command() -> None:
    if os.environ.get("WRITE_CLI_HELP"):
        CLI.write_text(help_page(), "utf-8")
    assert CLI.read_text("utf-8") == help_page(), (
        "the help has changed; write it anew: WRITE_CLI_HELP=1 python -m pytest tests/test_readme.py -k help"
    )


def help_page() -> str:
    shown = helps(typer.main.get_command(app))
    return CLI_HEAD + "".join(f"\n## {command}\n\n```text\n{text}\n```\n" for command, text in shown)


def helps(command: Any, parent: Any = None) -> Iterator[tuple[str, str]]:
    """A command's full name and its help, then those of the commands below it."""
    context = command.context_class(
        command,
        info_name=command.name if parent else "multiplex",
        parent=parent,
        terminal_width=WIDTH,
        **command.context_settings,
    )
    yield context.command_path, command.get_help(context).rstrip()
    for below in getattr(command, "commands", {}).values():
        yield from helps(below, context)


def test_every_flag_and_command_they_name_is_there() -> None:
    shown, others = help_page(), "".join(page for name, page in PAGES.items() if name != "docs/cli.md")
    flags = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", others))
    assert flags
    of_others = {"--no-deps", "--version", "--require-hashes", "--rm"}  # pip's, and docker's
    assert {flag for flag in flags if flag not in shown} <= of_others
    code = "\n".join(map("".join, re.findall(r"```sh\n(.*?)```|`([^`\n]+)`", others, re.DOTALL)))
    commands = set(re.findall(r"\bmultiplex ((?:(?:bench|models) )?[a-z]+)", code))
    assert len(commands) > 10
    assert not {command for command in commands if f"\n## multiplex {command}\n" not in shown}


@pytest.mark.parametrize("page", PAGES)
def test_every_score_command_runs(page: str, tmp_path: Path) -> None:
    lines = [line for block in re.findall(r"```sh\n(.*?)```", PAGES[page], re.DOTALL) for line in block.splitlines()]
    commands = [line for line in lines if line.startswith("multiplex score")]
    (tmp_path / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ANSWERS))
    rows = "".join(f"{row['id']},{row['reply']},{row['model']}\n" for row in ANSWERS)
    (tmp_path / "answers.csv").write_text("id,reply,model\n" + rows)
    for command in commands:
        arguments = shlex.split(command.partition(">")[0], comments=True)[1:]
        done = run(*arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "2 measured, 0 skipped" in done.stderr


def test_the_first_answer_of_the_readme_is_the_programs() -> None:
    told = re.search(r"\$ multiplex answer \"(.+)\" --seed (\d+)\n.*?(## Nearest.*?)```", PAGES["README.md"], re.DOTALL)
    assert told is not None
    away = Chat(ModelSpec(name="local", model="local", synthesis="composed", unavailable="not here", retries=0))
    made = answer(told[1], strategies=["multiplex"], model=away, seed=int(told[2])).answers["multiplex"]
    assert made.measures is not None
    statements, rest = told[3].split("## What these positions ask you")
    place = 0
    for part in statements.split("[...]"):  # in this order, with what is left out between them
        words = " ".join(part.split())
        place = " ".join(made.answer.text.split()).index(words, place) + len(words)
    assert re.search(rf"references \(n\) .* {made.measures.n}\nentropy .* {made.measures.entropy:.1f}%", rest)


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_file(page: str) -> None:
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", PAGES[page]) if not link.startswith("https://")]
    paths = [ROOT / page if link.startswith("#") else (ROOT / page).parent / link.partition("#")[0] for link in links]
    assert not [str(path) for path in paths if not path.is_file()]
