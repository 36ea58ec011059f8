"""The atlas gives every country's regions and cities a perspective, and takes no ordinary word for a city."""

from __future__ import annotations

from pathlib import Path

import pytest

from multiplex.content import content_root, read_yaml
from multiplex.errors import ContentError
from multiplex.evaluation.extraction.atlas import Place, places
from multiplex.evaluation.extraction.facets import Facets
from multiplex.evaluation.extraction.gazetteer import Gazetteer, shipped_gazetteer

ATLAS = """countries:
  western: [US, IT]
  oceanian: [FJ]
indigenous: [FJ]
regions:
  IT: [Tuscany, Florence]
homonyms: [Florence]
left_out: [Reading]
"""
CITIES = "US: [Boston, Reading, Waco]\nFJ: [Suva City]\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "atlas.yaml").write_text(ATLAS, "utf-8")
    (tmp_path / "cities.yaml").write_text(CITIES, "utf-8")
    return tmp_path


@pytest.fixture(scope="module")
def shipped() -> list[Place]:
    return list(places())


WESTERN = Facets(region=("western",))
PACIFIC = Facets(region=("oceanian",), people=("indigenous",))


def test_a_place_has_its_country_and_facets(folder: Path) -> None:
    assert list(places(folder)) == [
        Place("Tuscany", "IT", WESTERN, homonym=False),
        Place("Florence", "IT", WESTERN, homonym=True),
        Place("Boston", "US", WESTERN, homonym=False),
        Place("Waco", "US", WESTERN, homonym=True),
        Place("Suva City", "FJ", PACIFIC, homonym=False),
    ]


@pytest.mark.parametrize(
    ("name", "id"), [("Port-au-Prince", "city_ht_port_au_prince"), ("São Paulo", "city_ht_sao_paulo")]
)
def test_an_id_holds_the_country_and_the_plain_name(name: str, id: str) -> None:  # noqa: A002
    assert Place(name, "HT", WESTERN, homonym=False).id == id


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("atlas.yaml", "western:", "atlantean:", r"atlas\.yaml:2: countries\.atlantean"),
        ("atlas.yaml", "[FJ]\nindigenous", "[FJ, IT]\nindigenous", "'IT' stands twice"),
        ("atlas.yaml", "[US, IT]", "[usa]", r"atlas\.yaml:2: countries\.western\.0: String should match"),
        ("atlas.yaml", "homonyms:", "homonym:", "homonym"),
        ("cities.yaml", "US:", "FR:", "'FR' is in no region"),
        ("cities.yaml", "[Suva City]", "[]", r"cities\.yaml:2: FJ: .*at least 1 item"),
    ],
)
def test_a_wrong_file_is_named(folder: Path, file: str, old: str, new: str, says: str) -> None:
    text = (folder / file).read_text("utf-8")
    assert old in text
    (folder / file).write_text(text.replace(old, new), "utf-8")
    with pytest.raises(ContentError, match=says):
        list(places(folder))


def test_every_perspective_of_a_region_has_many_cities(shipped: list[Place]) -> None:
    regions = ("african", "middle_eastern", "east_asian")
    count = {name: sum(name in place.facets.region for place in shipped) for name in regions}
    assert all(number > 300 for number in count.values()), count


def test_israel_and_its_cities_are_left_out(shipped: list[Place]) -> None:
    assert not {"Jerusalem", "Haifa", "Tel Aviv", "Beersheba"} & {place.name for place in shipped}


def test_a_name_that_two_perspectives_share_belongs_to_neither(shipped: list[Place]) -> None:
    """San José of California and of Costa Rica, Valencia of Spain and of Venezuela, Hyderabad of India and Pakistan."""
    names = {place.name: place for place in shipped}
    assert "San Jose" not in names
    assert "Valencia" not in names
    assert names["Hyderabad"].facets.region == ("south_asian",)


@pytest.mark.parametrize("word", ["Reading", "Mobile", "Nice", "Split", "Man", "Male", "Orange", "Georgia", "Many"])
def test_an_ordinary_word_is_no_city(shipped: list[Place], word: str) -> None:
    assert word not in {place.name for place in shipped}


@pytest.mark.parametrize("name", ["Sydney", "Charlotte", "Florence", "Paris", "Milan", "Lima", "Oslo"])
def test_a_name_of_persons_or_of_four_letters_is_a_homonym(shipped: list[Place], name: str) -> None:
    assert [place.homonym for place in shipped if place.name == name][:1] == [True]


def test_what_stands_in_a_gazetteer_goes_before_the_atlas() -> None:
    shipped = shipped_gazetteer()
    assert shipped.match("Oaxaca")[0].form.entity.id == "mexico"
    assert shipped.match("Hyderabad")[0].form.entity.id == "city_in_hyderabad"


def test_a_folder_of_ones_own_has_no_atlas(gazetteer: Gazetteer) -> None:
    assert gazetteer.match("Lagos and Boston") == []


def test_an_atlas_country_says_what_the_gazetteer_says() -> None:
    """Every country whose English name a gazetteer holds has the perspective there that the atlas gives it."""
    home = read_yaml(content_root() / "eval" / "atlas.yaml")["countries"]
    shipped = shipped_gazetteer()
    names = {"JP": "Japan", "NG": "Nigeria", "PK": "Pakistan", "ID": "Indonesia", "TR": "Turkey", "KZ": "Kazakhstan",
             "HT": "Haiti", "GR": "Greece", "RU": "Russia", "FJ": "Fiji", "MR": "Mauritania"}  # fmt: skip
    for code, name in names.items():
        said = next(region for region, codes in home.items() if code in codes)
        assert shipped.match(name)[0].form.entity.facets.region[0] == said, name
