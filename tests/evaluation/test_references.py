"""A reference is a (sentence, perspective) pair; a mere label is a place."""

from __future__ import annotations

from pathlib import Path

import pytest

from multiplex.content import content_root
from multiplex.errors import ContentError, UsageError
from multiplex.evaluation.extraction.cue_words import CueWords
from multiplex.evaluation.extraction.gazetteer import Gazetteer, shipped_gazetteer
from multiplex.evaluation.extraction.references import count, find, pairs


def cues(gazetteer: Gazetteer, text: str) -> list[tuple[str, str, str]]:
    return [(found.text, found.perspective, found.cue) for found in find(text, gazetteer)]


@pytest.mark.parametrize(
    "text",
    [
        "Japanese families eat together.",
        "Japanese traditional culture is old.",
        "the “Japanese” way of life",
        "Japanese, Korean and Indian elders are heard.",
        "The Japanese value restraint.",
        "In Japan, elders are respected.",
        "In Japan, what do people eat?",
        "Elders are respected in Japan.",
        "In many parts of rural Japan, families live together.",
        "families in Japan",
        "Families in India and Japan live together.",
        "Japan still values its elders.",
        "Japan's customs are many.",
        "**Japanese:** harmony comes first.",
        "| Japanese | harmony |",
        "## Japanese Families and Elders",
        "A Japanese would never say so.",
        "We baked a traditional Japanese cake.",
        "Japanese school children bow.",
        "Japanese people bow.",
        "In a Japanese home, guests take off their shoes.",
    ],
)
def test_a_holder_of_a_view_value_or_practice_is_named(gazetteer: Gazetteer, text: str) -> None:
    assert [found.cue for found in find(text, gazetteer) if found.entity == "japan"] == ["named"]


@pytest.mark.parametrize(
    "text",
    [
        "She is an Indian actress.",
        "An Indian company was sold, people say.",
        "The office is at 5 Main Street, Delhi, India.",
        "He flew to India.",
        "The firm opened in India in 1990, and families came.",
        "In India, the plane landed.",
        "My neighbour is Indian.",
        "In Indian, this is a common word.",
        "She works at the Indian Society of Engineers.",
        "The plane landed in India; elders are respected elsewhere.",
        "The plane landed in India while families waited elsewhere.",
        "Indian",
        "# Indian",
        "An Indian film festival opened with prayers.",
        "The Indian army lost.",
        "Two Indians arrived in the village.",
        "Indians were defeated in the battle.",
        "He was born in India and married there.",
        "1,700 people died in India.",
    ],
)
def test_a_mere_label_is_a_place(gazetteer: Gazetteer, text: str) -> None:
    assert [found.cue for found in find(text, gazetteer) if found.entity == "india"] == ["place"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("American Indian elders teach.", [("American Indian", "indigenous", "named")]),
        ("African American families gather.", []),
        ("African-American families gather.", []),
        ("Go to the western wall of the garden.", []),
        ("The Indian Ocean is warm.", []),
        ("Every native speaker knows.", []),
        ("Non-Western cultures differ.", []),
        (
            "American Indians are not Indians.",
            [("American Indians", "indigenous", "named"), ("Indians", "south_asian", "named")],
        ),
        ("Muslim Nigeria fasts.", [("Muslim", "islamic", "named"), ("Nigeria", "african", "place")]),
        ("## Islamic", [("Islamic", "islamic", "place")]),
        ("In Muslim Nigeria, families fast.", [("Muslim", "islamic", "named"), ("Nigeria", "african", "named")]),
        ("They pay zakat.", [("zakat", "islamic", "concept")]),
    ],
)
def test_traps(gazetteer: Gazetteer, text: str, expected: list[tuple[str, str, str]]) -> None:
    assert cues(gazetteer, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Buddhism in Japan is old.", {"east_asian"}),
        ("Buddhism came from India to Japan.", {"south_asian", "east_asian"}),
        ("Buddhism teaches it.", {"east_asian"}),
        ("Buddhism is known in Ghana.", {"east_asian", "african"}),
    ],
)
def test_what_several_regions_share_has_one_home_the_one_that_the_sentence_names(
    gazetteer: Gazetteer, text: str, expected: set[str]
) -> None:
    assert {one.perspective for one in find(text, gazetteer)} == expected


def test_a_sentence_counts_once_for_a_perspective_and_nothing_is_inferred_across_sentences(
    gazetteer: Gazetteer,
) -> None:
    found = find("Muslims pay zakat, says the Qur'an. They fast. Islam asks it of Muslims.", gazetteer)
    assert [one.sentence for one in found] == [0, 0, 0, 2, 2]
    assert count(found)["islamic"] == 2
    assert pairs(found) == {(0, "islamic"), (2, "islamic")}


def test_a_list_item_is_one_sentence(gazetteer: Gazetteer) -> None:
    assert count(find("- Muslims fast. Muslims pray.\n- Muslims give.", gazetteer))["islamic"] == 2


def test_offsets_point_into_the_text(gazetteer: Gazetteer) -> None:
    text = "## Views\n\nFirst.  In Japan’s villages, elders — and Maori — speak.\n"
    for found in find(text, gazetteer):
        assert text[found.start : found.end] == found.text
    assert [found.text for found in find(text, gazetteer)] == ["Japan", "Maori"]


def test_an_echo_is_flagged_by_entity_and_left_out(gazetteer: Gazetteer) -> None:
    found = find("Japanese families bow. Korean families bow.", gazetteer, question="How do people greet in Japan?")
    assert [(one.entity, one.echo) for one in found] == [("japan", True), ("korea", False)]
    assert count(found)["east_asian"] == 1
    assert count(found, include_echo=True)["east_asian"] == 2


def test_cues_and_frame_choose_what_counts(gazetteer: Gazetteer) -> None:
    found = find("He flew to India. Jews pray. Ubuntu binds.", gazetteer)
    assert count(found, ("south_asian", "jewish"), ("place", "named")) == {"south_asian": 1, "jewish": 1}
    assert count(found, ("african", "jewish"), ("concept",)) == {"african": 1, "jewish": 0}


@pytest.fixture(scope="module")
def shipped() -> Gazetteer:
    return shipped_gazetteer()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # America's Indians and India's
        ("American Indian elders teach patience.", ["indigenous named"]),
        ("Cherokee Indians honor their elders.", ["indigenous named"]),
        ("Asian Indian families celebrate.", ["south_asian named"]),
        ("The Indian Ocean is warm.", []),
        ("West Indian families cook callaloo.", ["latin_american named"]),
        ("The West Indies lie there.", ["latin_american place"]),
        ("Families in West Bengal eat fish.", ["south_asian named"]),
        ("They moved to New Mexico.", ["western place"]),
        # diasporas are outside every perspective
        ("African-American families gather.", []),
        ("Mexican Americans vote.", []),
        ("Chinese Singaporeans light candles.", ["southeast_asian named"]),
        # the West and the compass
        ("The modern West prizes the person.", ["western named"]),
        ("Western values differ.", ["western named"]),
        ("Western Civilization is old.", ["western named"]),
        ("He lives in western Pennsylvania.", ["western place"]),
        ("Western Kenya is green.", ["african place"]),
        ("The western coast is windy.", []),
        ("The Western Gate is old.", []),
        # names of persons and things
        ("Georgia is on my mind.", []),
        ("We roasted the turkey.", []),
        ("Michael Jordan plays.", []),
        ("The shoes of Jordan Peterson are new.", []),
        ("In Jordan, families drink tea.", ["islamic named"]),
        ("Chad counted the chads.", []),
        ("Elders in Chad are respected.", ["african named"]),
        ("Charlotte smiled at Florence.", []),
        ("Florence, Italy, is old.", ["western place", "western place"]),
        ("In Sydney, families swim.", ["western named"]),
        ("In Lagos, families gather.", ["african named"]),
        ("He took a bath in Bath and went on Reading.", []),
        ("People of Port of Spain celebrate.", ["latin_american named"]),
        ("She trained in kung fu.", []),
        ("The Avicenna Mausoleum is old.", ["islamic place"]),
        ("Orwell Road is closed.", ["western place"]),
        ("Avicenna wrote on medicine.", ["islamic concept"]),
        ("The ʿulamāʾ and the ʻulamāʼ mourn on ʿĀshūrāʾ.", ["islamic concept"] * 3),
        ("Elders of the ʻaiga speak.", ["indigenous concept"]),
        ("Lao-tzu and Sun-tzu taught otherwise.", ["east_asian concept"] * 2),
        ("The Vikings drafted a quarterback and their fans celebrate.", []),
        ("The Vikings honoured their elders.", ["western named"]),
        ("The singer Ashanti performed at the ceremony.", []),
        ("The Dharma Initiative is a tale of television.", []),
        ("Our code runs on Ubuntu and we upgraded ubuntu servers.", []),
        # languages and alphabets
        ("She is a native speaker.", []),
        ("Latin is taught here.", []),
        ("English is the medium of instruction.", []),
        ("They are fluent in French.", []),
        ("The French-speaking cantons voted.", []),
        ("The English value privacy.", ["western named"]),
        ("He is French.", ["western place"]),
        # a power's rule speaks of the land it rules
        ("The Spanish colonial era ended.", []),
        ("Under Ottoman rule Albanians kept their law.", ["eastern_european named"]),
        # churches
        ("A Lutheran church stands there.", ["christian place"]),
        ("The Lutheran church teaches grace.", ["christian named"]),
        ("Christmas is a feast of light.", ["christian concept"]),
        ("Christmas is long in Filipino culture.", ["southeast_asian concept", "southeast_asian named"]),
        ("Muslims and Christians pray.", ["islamic named", "christian named"]),
        ("Muslim Nigeria fasts.", ["islamic named", "african place"]),
        # without capitals
        ("How do spanish families eat?", ["western named"]),
        ("Please polish the danish silver from china.", []),
    ],
)
def test_the_shipped_gazetteer_survives_its_traps(shipped: Gazetteer, text: str, expected: list[str]) -> None:
    assert [f"{one.perspective} {one.cue}" for one in find(text, shipped)] == expected


def test_nothing_is_found_inside_the_scaffold(gazetteer: Gazetteer) -> None:
    text = "## Islamic\n\nFrom the Muslim view, Japanese families bow."
    opener = text.index("From"), text.index("Japanese")
    found = find(text, gazetteer, scaffold=[(0, 10), opener])
    assert [(one.text, one.start, one.cue) for one in found] == [("Japanese", opener[1], "named")]


@pytest.mark.parametrize("span", [(-1, 2), (3, 2), (0, 99)])
def test_a_scaffold_span_outside_the_text_is_refused(gazetteer: Gazetteer, span: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="scaffold span"):
        find("Muslims fast.", gazetteer, scaffold=[span])


def test_a_cue_word_of_two_kinds_is_an_error(tmp_path: Path) -> None:
    shipped = (content_root() / "eval" / "cues.yaml").read_text("utf-8")
    wrong = tmp_path / "cues.yaml"
    wrong.write_text(shipped.replace("norms: [", "norms: [families, "), "utf-8")
    with pytest.raises(ContentError, match=r"cues\.yaml: norms: 'families' stands under holders too"):
        CueWords.load(wrong)


def test_a_wrong_file_of_cue_words_is_named_with_its_field(tmp_path: Path) -> None:
    shipped = (content_root() / "eval" / "cues.yaml").read_text("utf-8")
    wrong = tmp_path / "cues.yaml"
    wrong.write_text(shipped.replace("turns: [", "turns: [no, "), "utf-8")
    with pytest.raises(ContentError, match=r"cues\.yaml:\d+: turns\.0: Input should be a valid string"):
        CueWords.load(wrong)


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("Prices rose during the Industrial Revolution.", False),
        ("The Industrial Revolution changed how families lived.", True),
        ("A cousin of the caliph Muawiyah held the city.", False),
        ("The caliph must consult the people.", True),
        ("The leader of the Multicolored Mosque fled.", False),
        ("A mosque is a house of prayer.", True),
        ("A papal truce held until spring.", False),
        ("He chaired the Band of Chippewa Indians.", False),
        ("The report counted many ethnic Germans and Germans from Danzig.", False),
        ("In Greek mythology, Cisus was a king of Argos.", False),
        ("In Greek mythology, pride is punished.", True),
        ("In Texas folklore, the Lake Worth Monster is a creature.", False),
        ("In Texas folklore, elders speak first.", True),
        ("The council generally meets at its office in Ottawa, Ontario.", False),
        ("In Ottawa, Ontario, people generally tip.", True),
        ("The court heard a member of Sipah-e-Sahaba.", False),
        ("The Sahaba are remembered in prayer.", True),
        ("In Bhutan, Islam is a minority religion.", False),
        ("In Bhutan, Islam asks for daily prayer.", True),
        ("The scholar Saiful Islam wrote that families matter.", False),
        ("Islam Karimov ruled for decades.", False),
        ("In Islam God is one.", True),
        ("The banker Anshu Jain said that families matter.", False),
        ("In Pune, Marwari Jain families fast.", True),
        ("They read Hindu and Jain Agamas at home.", True),
        ("Christian Eriksen scored again.", False),
        ("A Christian Democrat values the family.", True),
        ("Polish the family silver before dinner.", False),
    ],
)
def test_a_date_a_title_a_body_or_a_person_is_no_view(shipped: Gazetteer, text: str, counts: bool) -> None:
    found = find(text, shipped)
    assert found
    assert any(each.cue in ("named", "concept") for each in found) == counts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Romans 12:2 speaks of the mind.", set()),
        ("The Romans spoke of virtue.", {"ancient_rome"}),
        ("The Epistle to the Hebrews speaks of faith.", {"epistle_to_the_hebrews"}),
        ("Nigerian Americans honour elders.", set()),
        ("In Córdoba, scholars debated.", set()),  # of Spain or of Argentina
        ("Rahul Gandhi, Groucho Marx, Hafez al-Assad and Calvin and Hobbes are not whom they are called after.", set()),
        ("By the Qutb Minar a Foucault pendulum swings over a Buddha bowl and Brahman cattle.", set()),
    ],
)
def test_a_name_that_is_another_thing_is_not_taken_for_a_people_or_a_place(
    shipped: Gazetteer, text: str, expected: set[str]
) -> None:
    assert {each.entity for each in find(text, shipped)} == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<ul><li>Elders are heard.</li><li>Japanese elders are, too.</li></ul>", [("Japanese", "named", 1)]),
        ("<h2>Ubuntu</h2>Kin share.<br/>Zakat is due.", [("Ubuntu", "concept", 0), ("Zakat", "concept", 2)]),
        ("| Place | What |\n|--|--|\n| x | a<br>zakat |", [("zakat", "concept", 1)]),  # a row stays one sentence
        ("[Japanese](https://x.org/wiki/Nigerian_(people)) elders bow.", [("Japanese", "named", 0)]),
        ("![x](african-elders.png) See www.x.org/korean-elders, and zakat.", [("zakat", "concept", 0)]),
        ("见 https://x.org/儒家。Zakat", [("Zakat", "concept", 1)]),
        ("Japanese&nbsp;families &amp; kin <!-- Korean families -->", [("Japanese", "named", 0)]),
        ("a < b, if <zakat> b > c", [("zakat", "concept", 0)]),
    ],
)
def test_tags_and_addresses_are_no_words_and_keep_every_place(
    gazetteer: Gazetteer, text: str, expected: list[tuple[str, str, int]]
) -> None:
    found = find(text, gazetteer)
    assert [(each.text, each.cue, each.sentence) for each in found] == expected
    assert all(text[each.start : each.end] == each.text for each in found)
