from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from multiplex.council.harms import load_harms
from multiplex.council.personas import DEFAULT_COUNCIL, Council, agents, built_in, read_persona
from multiplex.council.touched_harms import find_harms
from multiplex.errors import ContentError, UsageError
from multiplex.evaluation import FRAME

PERSONAS = built_in()


@pytest.mark.parametrize("persona", PERSONAS, ids=lambda p: p.name)
class TestEveryPersona:
    def test_every_idea_school_and_dissent_has_a_source_with_a_year(self, persona) -> None:
        sourced = [*persona.ideas, *persona.schools, *persona.dissent]
        assert len(persona.ideas) >= 7
        assert len(persona.schools) >= 2
        assert len(persona.dissent) >= 4
        assert all(any(c.isdigit() for c in part.source.year) or "century" in part.source.year for part in sourced)

    def test_names_who_contests_practices_that_harm(self, persona) -> None:
        assert len(persona.harms) >= 15
        assert {*(e.harm for e in persona.harms), *persona.nothing_on_record} == {harm.id for harm in load_harms()}
        assert all(any(c.isdigit() for c in entry.source.year) for entry in persona.harms)

    def test_says_for_whom_it_does_not_speak_and_that_nobody_has_reviewed_it(self, persona) -> None:
        assert persona.does_not_speak_for
        assert persona.reviewed_by_members is False

    def test_the_prompt_holds_its_rules_and_sources_only_where_no_sourcebook_brings_them(self, persona) -> None:
        bare = persona.model_copy(update={"sourcebook": None})
        bare.__dict__.pop("system_prompt", None)
        for told, text in ((persona.sourcebook is None, persona.system_prompt), (True, bare.system_prompt)):
            assert (str(persona.ideas[0].source) in text) is told
            assert (persona.dissent[0].argues in text) is told
            assert "Never invent a quotation" in text
            assert "$" not in text


def test_the_default_council_is_the_frame() -> None:
    assert Council.load().perspectives == FRAME == DEFAULT_COUNCIL


def test_two_thirds_rounded_up_must_speak() -> None:
    assert Council.load().quorum == 5
    assert Council.load("western", "african").quorum == 2


def test_a_digest_changes_with_the_content_alone(tmp_path: Path) -> None:
    original = agents() / "african.yaml"
    copy = tmp_path / "african.yaml"
    shutil.copytree(original.parent / "positions", tmp_path / "positions")
    copy.write_text("# a comment\n" + original.read_text("utf-8"), "utf-8")
    assert read_persona(copy).digest == read_persona(original).digest
    book = tmp_path / "positions" / "african.yaml"
    book.write_text(book.read_text("utf-8").replace("era: ", "era: ca. ", 1), "utf-8")
    assert read_persona(copy).digest != read_persona(original).digest
    shutil.copy(original.parent / "positions" / "african.yaml", book)
    copy.write_text(original.read_text("utf-8").replace("licence: Apache-2.0", "licence: CC0"), "utf-8")
    assert read_persona(copy).digest != read_persona(original).digest


def test_an_unknown_persona_is_answered_with_those_there_are() -> None:
    with pytest.raises(UsageError, match="no persona 'klingon'; built in: african"):
        Council.load("klingon")


@pytest.mark.parametrize("name", ["../agents/african", "/etc/passwd", ""])
def test_a_name_is_never_a_path_out_of_the_folder(name: str) -> None:
    with pytest.raises(UsageError):
        Council.load(name)


def test_a_persona_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="more than once"):
        Council.load("african", "african")


def test_a_users_own_persona_joins_by_its_path(tmp_path: Path) -> None:
    text = (agents() / "african.yaml").read_text("utf-8")
    own = tmp_path / "stoic.yaml"
    own.write_text(
        text.replace("name: african", "name: stoic").replace("perspective: african", "perspective: stoic"), "utf-8"
    )
    assert Council.load("western", own).perspectives == ("western", "stoic")
    assert Council.load(tmp_path).perspectives == ("stoic",)


@pytest.mark.parametrize(
    ("old", "new", "line", "field"),
    [
        ("name: african", "nmae: african", 1, "name"),
        ("  knowledge: >", "  knowlege: >", None, "reasoning.know"),
        ("reviewed_by_members: false", "reviewed_by_members: perhaps", None, "reviewed_by_members"),
        ("name: african", "name: zulu", None, "name"),
    ],
)
def test_a_typo_is_told_with_file_line_and_field(
    tmp_path: Path, old: str, new: str, line: int | None, field: str
) -> None:
    text = (agents() / "african.yaml").read_text("utf-8")
    assert old in text
    file = tmp_path / "african.yaml"
    file.write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(ContentError) as caught:
        read_persona(file)
    assert str(file) in str(caught.value)
    assert field in str(caught.value)
    if line is not None:
        assert f"{file}:{line}:" in str(caught.value)


def test_the_line_of_a_wrong_field_is_the_fields_own(tmp_path: Path) -> None:
    text = (agents() / "african.yaml").read_text("utf-8")
    number = next(i for i, row in enumerate(text.splitlines(), 1) if row.startswith("reviewed_by_members"))
    file = tmp_path / "african.yaml"
    file.write_text(text.replace("reviewed_by_members: false", "reviewed_by_members: perhaps"), "utf-8")
    with pytest.raises(ContentError) as caught:
        read_persona(file)
    assert caught.value.line == number


def test_text_that_is_no_yaml_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "african.yaml"
    file.write_text("name: african\n  bad: [indent\n", "utf-8")
    with pytest.raises(ContentError, match="not valid YAML") as caught:
        read_persona(file)
    assert caught.value.line is not None


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(ContentError, match="holds no persona"):
        Council.load(tmp_path)


def test_a_persona_of_version_0_1_0_with_practices_of_its_own_still_loads(tmp_path: Path) -> None:
    text = (agents() / "african.yaml").read_text("utf-8")
    start, end = text.index("harms:"), text.index("speaks_for:")
    own = "contested:\n  - practice: Dunking of dissenters\n    terms: [dunking]\n    by: Contested by the dry.\n"
    file = tmp_path / "african.yaml"
    file.write_text(text[:start] + own + text[end:], "utf-8")
    persona = read_persona(file)
    (touched,) = find_harms(["They feared dunking."], [persona])
    assert (touched.description, touched.contests[0].by) == ("Dunking of dissenters", "Contested by the dry.")
    file.write_text(text[:start] + text[end:], "utf-8")
    assert read_persona(file).harms == ()


@pytest.mark.parametrize(
    ("row", "why"), [("not_a_harm", "no harm 'not_a_harm'"), ("slavery", "'slavery' stands twice")]
)
def test_a_harm_that_is_unknown_or_stands_twice_is_told(tmp_path: Path, row: str, why: str) -> None:
    text = (agents() / "african.yaml").read_text("utf-8")
    file = tmp_path / "african.yaml"
    file.write_text(text.replace("nothing_on_record: [", f"nothing_on_record: [{row}, ", 1), "utf-8")
    with pytest.raises(ContentError, match=why):
        read_persona(file)
