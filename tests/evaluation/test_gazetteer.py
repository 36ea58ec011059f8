"""The gazetteer says which file, line and field is wrong, and matches what a scholar wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

from multiplex.content import content_root, read_tree
from multiplex.errors import ContentError
from multiplex.evaluation.extraction.facets import Facets
from multiplex.evaluation.extraction.frame import KNOWN
from multiplex.evaluation.extraction.frames import OUTSIDE, default_frame
from multiplex.evaluation.extraction.gazetteer import Gazetteer, shipped_gazetteer
from multiplex.text.tokens import tokens

GOOD = """perspective: african
named:
  - id: ghana
    people: [Ghanaians]
    places: [Ghana]
concept:
  - id: ubuntu
    forms: [ubuntu]
    source: Mogobe Ramose, 1999
    modern: false
"""


def found(gazetteer: Gazetteer, text: str) -> list[tuple[str, str]]:
    return [(text[match.start : match.end], match.form.entity.id) for match in gazetteer.match(text)]


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "says"),
    [
        ("people: [Ghanaians]", "peple: [Ghanaians]", 4, "named.0.peple", "Extra inputs"),
        ("modern: false", "modern: maybe", 10, "concept.0.modern", "boolean"),
        ("source: Mogobe Ramose, 1999", 'source: " "', 9, "concept.0.source", "at least 1 character"),
        ("    source: Mogobe Ramose, 1999\n", "", 7, "concept.0.source", "required"),
        ("source: Mogobe Ramose, 1999", 'source: ["A, 1999", ""]', 9, "concept.0.source", "valid string"),
        ("forms: [ubuntu]", "forms: []", 8, "concept.0.forms", "at least 1 item"),
        ("forms: [ubuntu]", "forms: [no]", 8, "concept.0.forms.0", "valid string"),
        ("forms: [ubuntu]", 'forms: ["--"]', 8, "concept.0.forms.0", "holds no word"),
        ("forms: [ubuntu]", "forms: [ubuntu, Ghana]", 8, "concept.0.forms.1", "already stands for 'ghana'"),
        ("id: ubuntu", "id: ghana", 8, "concept.0.forms.0", "id 'ghana' is already used in african.yaml:4"),
        ("id: ubuntu", "id: Ubuntu!", 7, "concept.0.id", "pattern"),
        ("perspective: african", "perspective: atlantean", 1, "perspective", "'western'"),
        ("perspective: african", "perspective: islamic", 1, "perspective", "not the file's name"),
        ("concept:\n", "named:\n", 6, "named", "key stands twice"),
        ("    forms: [ubuntu]\n", "    forms: [ubuntu\n", 9, "", "not valid YAML"),
        ("modern: false", "modern: false\n    facets: {religion: jedi}", 11, "concept.0.facets.religion.0", "'islam'"),
        ("modern: false", "modern: false\n    facets: {creed: islam}", 11, "concept.0.facets.creed", "Extra inputs"),
        ("modern: false", "modern: false\n    facets: {region: [asian, asian]}", 11, "concept.0.facets", "twice"),
    ],
)
def test_a_wrong_file_is_named_with_line_and_field(
    tmp_path: Path, old: str, new: str, line: int, field: str, says: str
) -> None:
    assert old in GOOD
    (tmp_path / "african.yaml").write_text(GOOD.replace(old, new), "utf-8")
    with pytest.raises(ContentError) as caught:
        Gazetteer.load(tmp_path)
    assert (caught.value.path.name, caught.value.line, caught.value.field) == ("african.yaml", line, field)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_form_in_two_files_is_an_error_that_names_both(tmp_path: Path) -> None:
    (tmp_path / "african.yaml").write_text(GOOD, "utf-8")
    (tmp_path / "none.yaml").write_text("perspective: null\nnone:\n  - Ghana\n", "utf-8")
    with pytest.raises(ContentError, match=r"none\.yaml:3: none\.0: 'Ghana' already stands for 'ghana' in african"):
        Gazetteer.load(tmp_path)


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ContentError, match=r"holds no \*\.yaml file"):
        Gazetteer.load(tmp_path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ubuntu, and ubuntu.", [("Ubuntu", "ubuntu"), ("ubuntu", "ubuntu")]),
        ("UBUNTU is a name, ubuntus are not.", []),
        ("UBUNTU AND FILIAL PIETY IN 2020: ZEN", [("UBUNTU", "ubuntu"), ("FILIAL PIETY", "filial_piety")]),
        ("The japanese lantern, some koreans", [("japanese", "japan"), ("koreans", "korea")]),
        ("in japan and korea", []),
        ("JAPAN and KOREA", [("JAPAN", "japan"), ("KOREA", "korea")]),
        ("zakat al-fitr, zakat", [("zakat al-fitr", "zakat"), ("zakat", "zakat")]),
        ("the Qur’an says", [("Qur’an", "quran")]),
        ("Japan's and Japan’s", [("Japan", "japan"), ("Japan", "japan")]),
        ("the M\u0101ori, the Ma\u0304ori", [("M\u0101ori", "maori"), ("Ma\u0304ori", "maori")]),
        (
            "Ja\u00adpan, Ko\u2060reans\u00ad, Mus\ufefflims",
            [("Ja\u00adpan", "japan"), ("Ko\u2060reans", "korea"), ("Mus\ufefflims", "islam")],
        ),
        ("Paṇḍitā but not Pandita", [("Paṇḍitā", "pandita")]),
        ("filial-piety, filial\npiety", [("filial-piety", "filial_piety"), ("filial\npiety", "filial_piety")]),
        ("Filial *Piety*", [("Filial *Piety", "filial_piety")]),
        ("filial, piety", []),
        ("百善孝为先", [("孝", "filial_piety")]),
        ("American Indian elders", [("American Indian", "american_indians")]),
        ("in the Indian Ocean", [("Indian Ocean", "none")]),
        ("Non-Western and non-Muslim", []),
        ("a Western-style house", [("Western", "west")]),
        ("Indiana", []),
    ],
)
def test_the_longest_whole_word_match_wins(gazetteer: Gazetteer, text: str, expected: list[tuple[str, str]]) -> None:
    assert found(gazetteer, text) == expected


def test_an_entity_carries_its_facets_and_those_of_its_file(gazetteer: Gazetteer) -> None:
    asian = ("east_asian", "south_asian", "southeast_asian")
    assert gazetteer.entities["buddhism"].facets == Facets(region=asian, religion=("buddhism",))
    assert gazetteer.entities["japan"].facets == Facets(region=("east_asian",))
    assert gazetteer.entities["zakat"].facets == Facets(religion=("islam",))
    assert gazetteer.entities["me_too"].modern
    assert "none" not in gazetteer.entities


def test_the_shipped_gazetteer_loads_and_covers_every_known_perspective() -> None:
    folder = content_root() / "eval" / "gazetteers"
    shipped = shipped_gazetteer()
    assert {path.stem for path in folder.glob("*.yaml")} == {*KNOWN, "none"}
    homes = {default_frame().home(name, entity.facets) for name, entity in shipped.entities.items()}
    assert homes - {OUTSIDE} == set(KNOWN)


def test_an_entry_may_have_several_sources(tmp_path: Path) -> None:
    several = GOOD.replace("source: Mogobe Ramose, 1999", 'source: ["Mogobe Ramose, 1999", "Desmond Tutu, 1999"]')
    (tmp_path / "african.yaml").write_text(several, "utf-8")
    assert Gazetteer.load(tmp_path).entities["ubuntu"].source == "Mogobe Ramose, 1999; Desmond Tutu, 1999"


def distinct(forms: list[str]) -> int:
    """How many forms there are when case, diacritics, hyphens and a plural s make no difference."""
    return len({tuple(token.key.removesuffix("s") for token in tokens(form)) for form in forms})


def test_spellings_of_one_term_count_as_one_form() -> None:
    assert distinct(["Sámi feminist", "sami feminists", "Sámi-feminist"]) == 1
    assert distinct(["Sámi feminist", "Sámi feminism"]) == 2


@pytest.mark.parametrize("path", sorted((content_root() / "eval" / "gazetteers").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_ten_forms_of_a_shipped_entry_have_a_source_of_their_own(path: Path) -> None:
    entries = read_tree(path)[0].get("concept", [])
    sources = {entry["id"]: entry["source"] for entry in entries}
    listed = {name: source if isinstance(source, list) else [source] for name, source in sources.items()}
    wanting = [entry["id"] for entry in entries if distinct(entry["forms"]) > 10 * len(listed[entry["id"]])]
    assert not wanting, f"split these, or list a source for each ten forms begun: {', '.join(wanting)}"
    repeated = [name for name, each in listed.items() if len(set(each)) < len(each)]
    assert not repeated, f"a source stands twice: {', '.join(repeated)}"
