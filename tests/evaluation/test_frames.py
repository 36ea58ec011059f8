"""A frame gives every entity one home; what else an entity is stands beside it and makes its home in another frame."""

from __future__ import annotations

from pathlib import Path

import pytest

from multiplex.errors import ContentError, UsageError
from multiplex.evaluation import Evaluator
from multiplex.evaluation.extraction.facets import OF_PERSPECTIVE, Facets
from multiplex.evaluation.extraction.frame import FRAME, KNOWN
from multiplex.evaluation.extraction.frames import OUTSIDE, Frame, load_frame, load_frames, shipped_frames
from multiplex.evaluation.extraction.gazetteer import shipped_gazetteer
from multiplex.evaluation.extraction.references import HEADLINE_CUES, count, find, in_frame
from multiplex.present.frames import FrameFigure, SpreadTally, dependence
from multiplex.present.summary import as_summary

NAMES = ("civilisations", "religions", "regions", "all")


@pytest.fixture(scope="module")
def frames() -> dict[str, Frame]:
    return {name: load_frame(name) for name in NAMES}


@pytest.mark.parametrize(
    ("text", "civilisations", "religions", "regions"),
    [
        # one entity, one home
        ("The Aymara honour the dead.", "indigenous", OUTSIDE, "latin_american"),
        ("Sámi elders honour the dead.", "indigenous", OUTSIDE, "western_european"),
        ("Buddhists meditate.", "east_asian", "buddhism", "east_asian"),
        ("Buddhism in Thailand honours monks.", "southeast_asian", "buddhism", "southeast_asian"),
        ("Hindus honour the dead.", "south_asian", "hinduism", "south_asian"),
        ("Négritude praises it.", "african", OUTSIDE, "african"),
        ("In Martinique négritude praises it.", "latin_american", OUTSIDE, "latin_american"),
        # a nationality before a believer
        ("Korean Christians pray.", "east_asian", "christianity", "east_asian"),
        ("Nigerian Pentecostals pray.", "african", "christianity", "african"),
        ("American evangelicals pray.", "western", "christianity", "north_american"),
        ("Irish Catholics pray.", "western", "christianity", "western_european"),
        ("Kenyan Muslims pray.", "african", "islam", "african"),
        ("Indian Muslims pray.", "south_asian", "islam", "south_asian"),
        ("American Jews pray.", "western", "judaism", "north_american"),
        ("Vietnamese Buddhists pray.", "southeast_asian", "buddhism", "southeast_asian"),
        ("American Hindus pray.", "western", "hinduism", "north_american"),
        ("Indonesian mosques teach.", "southeast_asian", "islam", "southeast_asian"),
        ("Native American Christians pray.", "indigenous", "christianity", "north_american"),
        ("Lebanese Christians pray.", "christian", "christianity", "middle_eastern"),
        # a believer without one
        ("Muslims pray.", "islamic", "islam", OUTSIDE),
        ("Pentecostals pray.", "christian", "christianity", OUTSIDE),
        ("Jews pray.", "jewish", "judaism", OUTSIDE),
        ("Atheists doubt it.", "secular", "secular", OUTSIDE),
        # a thinker where he lived, whatever his faith; what all churches share; a Buddhist idea where it arose
        ("Martin Luther wrote it.", "western", "christianity", "western_european"),
        ("Thomas Aquinas wrote it.", "western", "christianity", "western_european"),
        ("James Cone wrote it.", "western", "christianity", "north_american"),
        ("Kosuke Koyama wrote it.", "east_asian", "christianity", "east_asian"),
        ("Bertrand Russell wrote it.", "western", "secular", "western_european"),
        ("The Nicene Creed binds them.", "christian", "christianity", OUTSIDE),
        ("The bodhisattva returns.", "south_asian", "buddhism", "south_asian"),
        ("In Japan the bodhisattva returns.", "east_asian", "buddhism", "east_asian"),
        # homes that were wrong
        ("The Book of Job asks why.", "jewish", "judaism", OUTSIDE),
        ("Filial piety in Nigeria binds them.", "african", OUTSIDE, "african"),
        ("Qawwali moves them.", "south_asian", "islam", "south_asian"),
        ("The Syrian Christians of Kerala pray.", "south_asian", "christianity", "south_asian"),
        ("Zionist churches heal.", "african", "christianity", "african"),
        ("Edward Said wrote it.", "western", OUTSIDE, "western_european"),
        ("Michel Aflaq wrote it.", "secular", "secular", "middle_eastern"),
        ("Kahlil Gibran wrote it.", "christian", "christianity", "middle_eastern"),
        ("Charles Mills wrote it.", "western", OUTSIDE, "north_american"),
        ("Molefi Asante wrote it.", "african", OUTSIDE, "african"),
        ("West African caste binds smiths.", "african", OUTSIDE, "african"),
    ],
)
def test_an_entity_has_one_home_in_each_frame(
    frames: dict[str, Frame], text: str, civilisations: str, religions: str, regions: str
) -> None:
    found = find(text, shipped_gazetteer())
    homes = {name: {one.perspective for one in in_frame(found, frame)} for name, frame in frames.items()}
    assert homes["civilisations"] == homes["all"] == {civilisations}
    assert homes["religions"] - {OUTSIDE} == {religions} - {OUTSIDE}
    assert homes["regions"] - {OUTSIDE} == {regions} - {OUTSIDE}
    assert any(one.cue in HEADLINE_CUES for one in found)


@pytest.mark.parametrize(
    ("text", "home"),
    [
        ("Confucius stresses filial piety, while African ubuntu stresses community.", "east_asian"),
        ("Ambedkar fought caste, as Africans fought apartheid.", "south_asian"),
        ("In Nigeria, filial piety binds kin, as Confucius held.", "african"),
    ],
)
def test_an_idea_of_several_regions_is_at_home_in_the_one_that_its_clause_names(text: str, home: str) -> None:
    ideas = {one.entity: one.perspective for one in find(text, shipped_gazetteer())}
    assert ideas.get("filial_piety", ideas.get("caste_system")) == home


def test_believers_of_every_religion_are_treated_alike(frames: dict[str, Frame]) -> None:
    """Named alone they are at home in `religions`; with a nationality they are where it is in `civilisations`."""
    asked = "Catholics, Protestants and Orthodox Christians all ask for mercy."
    assert count(in_frame(find(asked, shipped_gazetteer()), frames["religions"]), frames["religions"].names) == {
        **dict.fromkeys(frames["religions"].names, 0),
        "christianity": 1,
    }
    for believers in ("Christians", "Muslims", "Jews", "Buddhists", "Hindus", "Sikhs", "Jains", "Daoists", "atheists"):
        found = find(f"Brazilian {believers} ask for mercy.", shipped_gazetteer())
        assert [(one.text, one.perspective) for one in found] == [(f"Brazilian {believers}", "latin_american")]
        assert in_frame(found, frames["religions"])[0].perspective != OUTSIDE


def test_two_nationalities_of_one_faith_are_two_references() -> None:
    found = find("Korean and Nigerian Christians pray.", shipped_gazetteer())
    assert [(one.text, one.perspective, one.cue) for one in found] == [
        ("Korean", "east_asian", "named"),
        ("Nigerian Christians", "african", "named"),
    ]


def test_a_believer_with_a_nationality_is_an_echo_only_where_the_question_names_both() -> None:
    def echoes(question: str) -> list[bool]:
        return [one.echo for one in find("Korean Christians pray.", shipped_gazetteer(), question)]

    assert (echoes("What do Christians do?"), echoes("What do Christians in Korea do?")) == ([False], [True])


@pytest.mark.parametrize("name", ["Western", "Islamic", "East Asian", "South Asian", "African", "Latin American",
                                  "Indigenous", "Christian", "Buddhist"])  # fmt: skip
def test_a_heading_that_is_only_a_name_is_a_label_for_every_perspective(name: str) -> None:
    assert [one.cue for one in find(f"## {name}\n\n2. {name}", shipped_gazetteer())] == ["place", "place"]
    assert [one.cue for one in find(f"## {name} families", shipped_gazetteer())] == ["named"]


def test_words_that_all_use_refer_to_nobody() -> None:
    generic = (
        "Individual rights, civil liberties and the separation of powers. A joint family with a scientific worldview. "
        "They ate ceviche, paella, pierogi, biryani, jollof rice, dim sum and pad thai. It is a filial duty."
    )
    assert find(generic, shipped_gazetteer()) == ()


def test_shipped_frames_leave_no_perspective_empty_and_forget_none_that_is_known(frames: dict[str, Frame]) -> None:
    assert set(shipped_frames()) == set(NAMES)
    assert (frames["civilisations"].names, frames["all"].names) == (FRAME, KNOWN)
    entities = shipped_gazetteer().entities
    for frame in frames.values():
        assert {frame.home(name, entity.facets) for name, entity in entities.items()} >= set(frame.names)
    for name in ("civilisations", "all"):
        assert all(frames[name].home("", facets) == known for known, facets in OF_PERSPECTIVE.items())


OWN = """name: mine
about: Two halves of the world.
precedence: [religion, region]
perspectives:
  abrahamic:
    religion: [islam, christianity, judaism]
  other:
    region: [east_asian, south_asian]
    entities: [ubuntu]
"""


def test_a_frame_of_ones_own_counts_and_several_stand_side_by_side(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(OWN, "utf-8")
    evaluator = Evaluator([str(tmp_path / "mine.yaml"), "civilisations", "religions"], sentiment=False, implied=False)
    made = evaluator.measure("Korean Christians pray. Ubuntu binds. Indian elders bless.")
    assert (made.frame_name, made.counts) == ("mine", {"abrahamic": 1, "other": 2})
    assert {each.frame_name: each.n for each in made.beside} == {"civilisations": 3, "religions": 1}
    assert made.references[0].facets == Facets(region=("east_asian",), religion=("christianity",))
    none = evaluator.measure("Kenyan elders bless.")
    assert (none.n, none.entropy, none.beside[0].n, none.beside[1].entropy) == (0, None, 1, None)


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "says"),
    [
        ("[ubuntu]", "[ubuntu, ubuntu]", 9, "perspectives.other.entities.1", "already at home in 'other'"),
        ("judaism]", "judaism]\n    entities: [ubuntu]", 10, "perspectives.other.entities.0", "home in 'abrahamic'"),
        ("south_asian]", "atlantis]", 8, "perspectives.other.region.1", "Input should be 'western'"),
        ("religion: [islam", "creed: [islam", 6, "perspectives.abrahamic.creed", "Extra inputs"),
        ("[ubuntu]", "[ubuntoo]", 9, "perspectives.other.entities.0", "no gazetteer has an entity 'ubuntoo'"),
        ("  other:", "  none_of_them: {}\n  other:", 7, "perspectives.none_of_them", "holds no entity"),
        ("  other:", "  hidden: {people: [jewish]}\n  other:", 7, "perspectives.hidden", "no entity is at home"),
        ("[religion, region]", "[religion, religion]", 3, "precedence", "stands twice"),
        ("[religion, region]", "[creed]", 3, "precedence.0", "Input should be 'region'"),
    ],
)
def test_a_wrong_frame_file_is_named_with_line_and_field(
    tmp_path: Path, old: str, new: str, line: int, field: str, says: str
) -> None:
    assert old in OWN
    (tmp_path / "mine.yaml").write_text(OWN.replace(old, new), "utf-8")
    with pytest.raises(ContentError) as caught:
        load_frame(str(tmp_path / "mine.yaml"))
    assert (caught.value.line, caught.value.field) == (line, field), caught.value
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_frame_that_is_not_there_or_stands_twice_is_told_in_one_line() -> None:
    with pytest.raises(UsageError, match="no frame 'planets'; name one of all, civilisations, regions, religions"):
        load_frame("planets")
    with pytest.raises(UsageError, match=r"nowhere\.yaml: no such file"):
        load_frame("nowhere.yaml")
    with pytest.raises(UsageError, match="'religions' is named twice"):
        load_frames(["religions", "religions"])
    assert load_frames(["western", "jewish"])[0].names == ("western", "jewish")


def test_what_depends_on_the_frame_is_said_in_words() -> None:
    figures = {
        "one": {"a": FrameFigure(5, 80.0), "b": FrameFigure(4, 60.0), "c": FrameFigure(0, None)},
        "two": {"a": FrameFigure(5, 40.0), "b": FrameFigure(4, 60.0), "c": FrameFigure(9, 10.0)},
    }
    assert dependence(figures) == [
        "It depends on the frame whether a or b spreads more widely: a under one; b under two.",
        "c has no reference under one, and 9 under two.",
    ]
    assert dependence({"one": figures["one"]}) == []


def test_texts_without_a_group_are_no_group_of_all_texts() -> None:
    evaluator = Evaluator(["civilisations", "religions"], sentiment=False)
    korean, catholic = evaluator.measure("Koreans greet elders."), evaluator.measure("Catholics pray to God.")
    alone = SpreadTally()
    alone.add("", korean)
    assert alone.label("") == "all texts"
    assert alone.lines() == ["1 of 1 texts have no reference under religions and some under civilisations."]
    assert list(as_summary({}, None, {}, {}, alone)["frames"]["religions"]) == ["all"]
    alone.add("a", catholic)
    assert alone.label("") == "the empty group"
    assert alone.lines()[:2] == [
        "the empty group has no reference under religions, and 1 under civilisations.",
        "a has no reference under civilisations, and 1 under religions.",
    ]
    assert list(as_summary({}, None, {}, {}, alone)["frames"]["religions"]) == ["", "a"]


@pytest.mark.parametrize(
    ("name", "religion"),
    [
        ("Moinuddin Chishti", "islam"),
        ("Ogyū Sorai", "confucian_daoist"),
        ("Iyothee Thass", "buddhism"),
        ("Manimekalai", "buddhism"),
        ("Max Weber", OUTSIDE),
        ("Kingdom of Meroe", OUTSIDE),
        ("Mona Eltahawy", OUTSIDE),
    ],
)
def test_nobody_stands_under_a_religion_that_is_not_theirs(frames: dict[str, Frame], name: str, religion: str) -> None:
    (found,) = in_frame(find(f"{name} is read.", shipped_gazetteer()), frames["religions"])
    assert found.perspective == religion
