"""An ambiguous form refers to its tradition only where its sentence, or the one before, supports that sense."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from multiplex.errors import ContentError
from multiplex.evaluation.extraction.frame import HEADLINE_CUES
from multiplex.evaluation.extraction.gazetteer import Gazetteer, shipped_gazetteer
from multiplex.evaluation.extraction.references import find
from multiplex.evaluation.extraction.senses import SenseWords

SENSES = Path(__file__).parents[3] / "shared" / "data" / "culture" / "senses.jsonl"


def perspectives(text: str) -> set[str]:
    return {each.perspective for each in find(text, shipped_gazetteer()) if each.cue in HEADLINE_CUES}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Our team reached shopping nirvana.", set()),
        ("Monks strive for nirvana.", {"south_asian"}),  # a word of faith
        ("Ambedkar wrote of caste.", {"south_asian"}),  # another entity of the perspective
        ("Ambedkar was a lawyer. He knew caste well.", {"south_asian"}),  # in the sentence before
        ("He knew caste well. The bus was late. Ambedkar was a lawyer.", {"south_asian"}),  # the last sentence alone
        ("- Karma", {"south_asian"}),  # stands alone
        ("We discuss the idea of karma.", {"south_asian"}),  # mentioned
        ("Jihad means exertion.", {"islamic"}),  # explained
        ("The Cartesian grid has four caste columns.", set()),  # two that support nothing of one another
        ("Zakat is owed at the end of the year.", {"islamic"}),  # not ambiguous
        ("The philosopher Li spoke of virtue.", set()),  # a surname, which a word of thought does not support
        ("Sages hold that li shapes virtue.", {"east_asian"}),
        ("Confucians say that Li shapes conduct.", {"east_asian"}),  # a tradition of its own beside it
    ],
)
def test_an_ambiguous_form_counts_where_something_supports_it(text: str, expected: set[str]) -> None:
    assert perspectives(text) == expected


def test_a_form_marked_ambiguous_must_be_among_the_forms_of_its_entry(tmp_path: Path) -> None:
    (tmp_path / "western.yaml").write_text(
        "perspective: western\nconcept:\n"
        "  - {id: kant, forms: [Kant], ambiguous: [Cant], source: A book, modern: false}\n",
        "utf-8",
    )
    with pytest.raises(ContentError, match=r"western\.yaml:3: concept\.0: .*ambiguous: 'Cant' is not among"):
        Gazetteer.load(tmp_path)
    path = tmp_path / "western.yaml"
    path.write_text(path.read_text("utf-8").replace("ambiguous: [Cant]", "surnames: [Kant]"), "utf-8")
    with pytest.raises(ContentError, match=r"western\.yaml:3: concept\.0: .*surnames: 'Kant' is not among"):
        Gazetteer.load(tmp_path)


def test_a_wrong_file_of_words_is_named_with_its_field(tmp_path: Path) -> None:
    (tmp_path / "senses.yaml").write_text("supports: [faith]\n", "utf-8")
    with pytest.raises(ContentError, match=r"senses\.yaml:1: mentions: Field required"):
        SenseWords.load(tmp_path / "senses.yaml")


@pytest.mark.skipif(not SENSES.is_file(), reason="the labelled sentences are not there")
def test_traps_are_left_alone_on_the_labelled_sentences() -> None:
    rows = [json.loads(line) for line in SENSES.read_text("utf-8").splitlines()]
    found = [(perspectives(row["text"]), set(row["gold"])) for row in rows]
    named = sum(len(calls) for calls, _ in found)
    assert sum(len(calls & gold) for calls, gold in found) / named >= 0.90


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Confucius taught that ren and xiao begin at home.", {"east_asian"}),
        ("Moral obligation, giri, binds a pupil to a teacher.", {"east_asian"}),
        ("The living-dead are ancestors whom someone still remembers.", {"african"}),
        ("A family pays bridewealth in cattle.", {"african"}),
        ("To live in hukam is wise, and a jati follows endogamy.", {"south_asian"}),
        ("The poet teaches aram, or virtue.", {"south_asian"}),
        ("Disciples gather at the tomb of the pir.", {"south_asian"}),
        ("Subsidiarity leaves to a town what a town can decide.", {"western"}),
        ("Civil disobedience is a moral act of conscience.", {"western"}),
        ("The scholars of kalam allow ikhtilaf, and rulers hold amana.", {"islamic"}),
        ("Believers ask a marja.", {"islamic"}),
        ("The idea of machismo is contested.", {"latin_american"}),
        ("Maasai age sets bind men for life.", {"african"}),
        ("In Japan, reading the air is expected.", {"east_asian"}),
        ("Aboriginal families observe sorry business.", {"indigenous"}),
        ("Elders give red envelopes.", {"east_asian"}),
        ("Believers bless Easter eggs.", {"christian"}),
        ("Extractivism and marronage shaped the land.", {"latin_american"}),
        ("The stream is tapu, its mauri sacred, and the whenua is shared.", {"indigenous"}),
        # the same letters in another sense
        ("Kylo Ren believes in nothing.", set()),
        ("The Night of the Living Dead taught horror films a lesson.", set()),
        ("Aram Khachaturian wrote a sacred chorus.", set()),
        ("They bought an Amana fridge.", set()),
        ("Her machismo act won the match.", set()),
        ("The company logos were redrawn.", set()),
        ("We climbed the arete before lunch.", set()),
        ("He spent all his mana on a fireball.", set()),
        ("We ate tapas in the yoga studio.", set()),
        ("Old age sets in slowly, at an age set by law.", set()),
        ("She was reading the air pressure gauge.", set()),
        ("The sale was a sorry business.", set()),
        ("It is a place thought to be haunted.", set()),
        ("He mixed two spirits, gin and vodka.", set()),
        ("The letter came in a red envelope.", set()),
        ("They sang culture songs.", set()),
        ("The developers hid an Easter egg in the game.", set()),
    ],
)
def test_a_core_term_is_heard_in_a_plain_sentence_and_its_homonym_is_not(text: str, expected: set[str]) -> None:
    assert perspectives(text) == expected
