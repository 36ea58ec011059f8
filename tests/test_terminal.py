"""What reaches a terminal or a log: foreign text is shown and never obeyed, and no encoding loses an answer."""

from __future__ import annotations

import io
import json
import logging
import re
import subprocess
from pathlib import Path

import pytest
from rich.live import Live
from rich.markdown import Markdown
from rich.text import Text

from multiplex.serve.http.logs import Line
from multiplex.text.console import SafeConsole
from multiplex.text.terminal import escape_json, one_line, visible
from tests.backend import Backend, Say
from tests.command import COMMAND, at, run

ATTACKS = [
    "\x1b[31mred\x1b[0m",
    "\x1b]0;owned\x07",  # the window's title
    "\x1b]52;c;b3duZWQ=\x1b\\",  # the clipboard
    "\x1b]8;;http://evil.example\x1b\\bank\x1b]8;;\x1b\\",
    "\x1b[2J\x1b[?1049h\x1bc",  # clear, the alternate screen, reset
    "\x9b2J\x9d0;owned\x9c",  # the same as C1
    "\u202edesrever\u202c \u2066x\u2069",  # bidirectional overrides and isolates
    "back\b\b\b\bover\rwritten\x00\x7f",
]
OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
OWN = re.compile(r"\x1b\[[0-9;]*m|\x1b\[\?25[lh]|\x1b\[[0-9]*[AK]|\r")
"""Styles and cursor movements of rich itself."""


@pytest.mark.parametrize("columns", ["0", "²", "-1"])
def test_a_width_that_no_terminal_has_loses_nothing(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("LINES", columns)
    out = io.StringIO()
    SafeConsole(file=out).print("the answer")
    assert out.getvalue() == "the answer\n"


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_console_shows_foreign_text_and_obeys_none(attack: str) -> None:
    out = io.StringIO()
    console = SafeConsole(file=out, force_terminal=True, width=80)
    console.print(Text(f"before {attack} after", "red"), f"[bold]{attack}")
    console.print(Markdown(f"*{attack}* and [words](http://target.example)\n\n    {attack}", hyperlinks=False))
    with Live(Text(attack), console=console, transient=True):
        console.print(attack)
    assert not OBEYED.search(OWN.sub("", out.getvalue()).replace("\t", ""))
    assert "\x1b]" not in out.getvalue()
    assert "[bold]" in out.getvalue()
    assert "http://target.example" in out.getvalue()


def test_line_ends_of_every_kind_are_line_feeds_or_one_space() -> None:
    text = "a\r\nb\rc\u2028d\x85e\ff\tg"
    assert visible(text) == "a\nb\nc\nd\ne\nf\tg"
    assert one_line(f" {text}\n") == "a b c d e f\tg"
    assert visible("שלום \u200fعالم 👩‍👩‍👧 ñ") == "שלום \u200fعالم 👩‍👩‍👧 ñ"


def test_json_means_the_same_and_holds_nothing_that_is_obeyed() -> None:
    value = {"text": "".join(ATTACKS) + "\u2028\x85儒\ud83d"}
    line = escape_json(json.dumps(value, ensure_ascii=False))
    assert json.loads(line) == value
    assert not OBEYED.search(line)
    assert "儒\\ud83d" in line
    assert len(line.splitlines()) == 1


def test_a_log_line_is_one_line_of_visible_signs() -> None:
    record = logging.LogRecord("multiplex.serve", logging.INFO, "", 0, "asked\u2028{\x9b2J", (), None)
    record.fields = {"id": "".join(ATTACKS)}
    line = Line().format(record)
    assert len(line.splitlines()) == 1
    assert not OBEYED.search(line)
    assert json.loads(line)["id"] == "".join(ATTACKS)


@pytest.mark.parametrize("flags", [["--quiet"], [], ["--json"]], ids=["quiet", "whole", "json"])
def test_an_answer_is_printed_without_its_escape_sequences(flags: list[str], backend: Backend) -> None:
    backend.script = lambda body, n: Say(f"{''.join(ATTACKS)} Ubuntu asks that kin share care.")
    done = run("answer", "Why?", *at(backend), "--strategy", "uniplex", "--seed", "1", *flags)
    assert done.returncode == 0, done.stderr
    assert "Ubuntu asks that kin share care." in done.stdout.replace("\n", " ")
    assert not OBEYED.search(done.stdout + done.stderr)


def test_an_error_of_an_endpoint_is_one_line_without_escape_sequences(backend: Backend) -> None:
    backend.script = lambda body, n: Say(status=400, error={"message": f"bad\n{''.join(ATTACKS)}"})
    done = run("answer", "Why?", *at(backend), "--strategy", "uniplex", "--quiet")
    assert done.returncode != 0
    assert len(done.stderr.splitlines()) == 1
    assert not OBEYED.search(done.stderr)


def test_ids_and_groups_of_a_file_are_text(tmp_path: Path) -> None:
    rows = [{"id": "x\n\x1b[31mred", "text": "Ubuntu binds kin.", "by": f"[/bold]\x9d0;owned\x9c{n}"} for n in range(2)]
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
    done = run("score", str(file), "--no-sentiment", "--group-by", "by")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("x [31mred  n=1")
    assert "[/bold]0;owned1" in done.stdout
    assert not OBEYED.search(done.stdout + done.stderr)


@pytest.mark.parametrize("flags", [["--quiet"], [], ["--json"]], ids=["quiet", "whole", "json"])
def test_what_an_encoding_lacks_is_escaped_and_loses_no_answer(flags: list[str], backend: Backend) -> None:
    backend.script = lambda body, n: Say("儒家 and café 😀.")
    env = {"PYTHONIOENCODING": "ascii"}
    done = run("answer", "Why?", *at(backend), "--strategy", "uniplex", "--seed", "1", *flags, env=env)
    assert done.returncode == 0, done.stderr
    assert "\\u5112\\u5bb6 and caf\\u00e9 \\ud83d\\ude00." in done.stdout
    if flags == ["--json"]:
        assert json.loads(done.stdout)["answers"]["uniplex"]["text"] == "儒家 and café 😀."


def test_a_file_is_written_where_standard_output_refuses(backend: Backend, tmp_path: Path) -> None:
    backend.script = lambda body, n: Say("Ubuntu binds kin.")
    file = tmp_path / "answer.md"
    arguments = ["answer", "Why?", *at(backend), "--strategy", "uniplex", "--output", str(file), "--quiet"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*COMMAND, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, timeout=120)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
    assert "Ubuntu binds kin." in file.read_text("utf-8")


def test_a_narrow_terminal_cuts_no_name_and_no_figure(backend: Backend, tmp_path: Path) -> None:
    backend.script = lambda body, n: Say("Ubuntu asks that kin share care. Koreans greet elders first.")
    narrow = {"COLUMNS": "40"}
    (tmp_path / "texts.jsonl").write_text('{"text": "Ubuntu asks that kin share care."}\n' * 13)
    (tmp_path / "prices.toml").write_text('"openai:NAME" = { input = 0.5, output = 1.5 }\n')
    scored = run("score", "texts.jsonl", "--no-sentiment", cwd=tmp_path, env=narrow).stdout
    answered = run("answer", "Why?", *at(backend), env=narrow).stdout
    asked = ("--models", "openai:NAME", "--dry-run", "--prices", "prices.toml")
    planned = run("bench", "run", *asked, cwd=tmp_path, env=narrow).stdout
    rows = [line.split() for printed in (scored, answered, planned) for line in printed.splitlines()]
    assert ["latin_american", "0.0", "[0.0,", "0.0]"] in [row[:4] for row in rows]
    assert any(row[:1] == ["african"] and row[2:3] == ["50%"] == row[4:5] for row in rows)
    assert any(row[:1] == ["south_asian"] and row[2:3] == ["6%"] and len(row) == 6 for row in rows)
    assert any(row[:3] == ["all", "525", "1,925"] for row in rows)
