"""Content files that would take the reader down, and files that are written whole or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from multiplex.content import check_place, open_draft, read_tree, read_yaml
from multiplex.errors import ContentError, MultiplexError, UsageError

BILLIONS = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))


@pytest.mark.parametrize("read", [read_yaml, read_tree])
@pytest.mark.parametrize(
    ("text", "where", "why"),
    [
        (BILLIONS, ":2: ", "aliases are not read"),
        ("&a [*a]", ":1: ", "aliases are not read"),
        ("a: " + "[" * 50_000 + "]" * 50_000, ":1: ", "nested deeper than 32"),
        ("{a: " * 50_000, ":1: ", "nested deeper than 32"),
        ("- " * 50_000 + "x", ":1: ", "nested deeper than 32"),
        ("\n".join(" " * n + "k:" for n in range(900)), ":33: ", "nested deeper than 32"),
        ("day: 2024-13-45", ": ", "month must be in 1..12"),
        ("{[a, b]: c}", ":1: ", "key"),
    ],
    ids=["billions", "circle", "brackets", "braces", "dashes", "indents", "day", "key"],
)
def test_a_hostile_file_is_refused_in_one_line_at_once(
    read: object, text: str, where: str, why: str, tmp_path: Path
) -> None:
    file = tmp_path / "persona.yaml"
    file.write_text(text, "utf-8")
    with pytest.raises(ContentError) as caught:
        read(file)  # type: ignore[operator]
    said = str(caught.value)
    assert said.startswith(f"{file}{where}")
    assert why in said
    assert "\n" not in said


def test_a_draft_follows_no_symbolic_link_and_leaves_nothing_behind(tmp_path: Path) -> None:
    theirs, link = tmp_path / "theirs", tmp_path / "answer.md"
    theirs.write_text("keep")
    link.symlink_to(theirs)
    (tmp_path / ".answer.md.part").symlink_to(theirs)
    before = os.umask(0o027)
    try:
        with open_draft(link) as out:
            out.write("whole \ud83d\n")
            (draft,) = tmp_path.glob(".multiplex-*.part")
            assert draft.name != ".answer.md.part"
    finally:
        os.umask(before)
    assert theirs.read_text() == "keep"
    assert not link.is_symlink()
    assert link.read_text() == "whole \\ud83d\n"
    assert stat.S_IMODE(link.stat().st_mode) == 0o640
    with pytest.raises(ZeroDivisionError), open_draft(link) as out:
        out.write(str(1 / 0))
    assert link.read_text() == "whole \\ud83d\n"
    assert list(tmp_path.glob(".multiplex-*")) == []


def test_a_device_is_written_to_and_stays_one(tmp_path: Path) -> None:
    with open_draft(Path("/dev/null")) as out:
        out.write("gone")
    assert Path("/dev/null").is_char_device()
    with (
        pytest.raises(MultiplexError, match=r"a\.md: cannot be written: No such file"),
        open_draft(tmp_path / "no" / "a.md"),
    ):
        pass


@pytest.mark.parametrize("path", [".", "no/a.md", "file/a.md"])
def test_a_place_that_cannot_be_written_is_told_beforehand(path: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"--output .*: cannot be written there"):
        check_place("--output", tmp_path / path)
    for place in (Path("/dev/null"), tmp_path / "file", tmp_path / "new"):
        check_place("--output", place)
