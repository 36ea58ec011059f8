from __future__ import annotations

import pytest

from multiplex.council.answer import Voice
from multiplex.council.names import (
    find_names,
    find_numbers,
    find_terms,
    fold,
    is_people,
    names_readable,
    only_in,
    stands_in,
    trace_names,
    with_plain_digits,
)


def voice(perspective: str, text: str) -> Voice:
    return Voice(persona=perspective, perspective=perspective, title=perspective, model="m", text=text)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("It was Rauna Kuokkanen, a Sámi scholar, who said so.", ["Rauna Kuokkanen", "Sámi"]),
        ("The modern thinker Rashid al-Ghannushi argues.", ["Rashid al-Ghannushi"]),
        ("Followers of Jeremy Bentham count every gain.", ["Jeremy Bentham"]),
        ("Norway's Supreme Court found in 2021.", ["Norway", "Supreme Court"]),
        ("Perhaps nobody knows. Grinding work follows.", []),
        ("Many agree. In Peru they do not, said B. R. Ambedkar.", ["Peru", "B. R. Ambedkar"]),
        ("Freire's pupils read.", ["Freire"]),
        ("He cited the Great Law of Peace.", ["Great Law of Peace"]),
    ],
)
def test_names_are_runs_of_capitals_that_no_sentence_began(text: str, names: list[str]) -> None:
    found = find_names(text)
    assert [name.text for name in found] == names
    assert all(text[name.start : name.end] == name.text for name in found)


def test_emphasised_words_and_short_quotations_are_terms() -> None:
    assert [t.text for t in find_terms("They speak of *shura*, “mutual advice”, and of 2 * 3 * 4.")] == [
        "shura",
        "mutual advice",
    ]


def test_spellings_of_one_name_agree() -> None:
    said = fold("Muḥammad ʿAbduh and Oyèrónkẹ́ Oyěwùmí, with Wet'suwet'en women, on Brazil and the Māori.")
    for name in ("Muhammad 'Abduh", "Oyeronke Oyewumi", "Wet’suwet’en", "Brazilian", "Brazilians", "Maori"):
        assert stands_in(name, said), name
    assert not stands_in("Persian", fold("a person of rank"))
    assert not stands_in("Tagore", said)


@pytest.mark.parametrize(
    ("name", "said", "stands"),
    [
        ("Karl Marx", "as Marx wrote", True),
        ("John Rawls", "as John Locke wrote", False),
        ("Muhammad Abduh", "the Prophet Muhammad taught", False),
        ("Ibn Sina", "as Ibn Rushd wrote", False),
        ("Augustine of Hippo", "as Augustine wrote", True),
        ("Rigoberta Menchú Tum", "as Rigoberta Menchú told", True),
        ("Narmada Valley", "the dams on the Narmada", True),
        ("Zen Buddhism", "as Zen monks say", True),
        ("Tibetan Buddhism", "as they say in Tibet", True),
        ("Buddhism", "as Buddhists say", True),
        ("Latin American", "in Latin America", True),
    ],
)
def test_a_name_of_several_words_stands_by_the_one_that_tells_it_from_others(
    name: str, said: str, stands: bool
) -> None:
    assert stands_in(name, fold(said)) is stands


def test_a_people_is_told_by_a_list_and_not_by_its_ending() -> None:
    assert all(map(is_people, ("Ghanaian", "Pakistani", "Japanese", "Sri Lankans", "Sámi", "Jewish", "Buddhism")))
    assert not any(map(is_people, ("Tantawi", "Gandhi", "Bloch", "Lacan", "Habermas")))


@pytest.mark.parametrize(
    ("written", "plain"),
    [("10,000", "10000"), ("१,००,०००", "100000"), ("１９８９", "1989"), ("1.234.567", "1234567"), ("٢٬٠٠٠", "2000")],
)
def test_a_number_is_the_same_in_every_script_and_grouping(written: str, plain: str) -> None:
    assert [number.text for number in find_numbers(f"It cost {written} then.")] == [written]
    assert with_plain_digits(f"{written}, 1990") == f"{plain}, 1990"


@pytest.mark.parametrize(
    ("text", "readable"),
    [
        ("In Peru they speak of Gustavo Gutiérrez and of the poor of Lima.", True),
        ("في بيرو يتحدثون عن الفقراء", False),
        ("祖先を敬うことは大切である", False),
        ("Die Familie sorgt im Alter für die Eltern, und der Staat hilft mit Geld und Rat bei der Pflege.", False),
        ("", False),
    ],
)
def test_it_says_where_names_cannot_be_told_by_capitals(text: str, readable: bool) -> None:
    assert names_readable(text) is readable


def test_a_voice_is_known_by_what_it_alone_names() -> None:
    voices = [
        voice("a", "It was Kant who held that Ubuntu is not enough."),
        voice("b", "It is Ubuntu, as Ramose says."),
        voice("c", "They would say little, but everything quietly depends on neighbours."),
    ]
    own = only_in(voices, "What is owed?", words=["duty"])
    assert own["a"].names == {"kant"}
    assert own["b"].names == {"ramose"}
    assert own["c"].names == frozenset()
    assert own["b"].is_met(fold("So Ramose holds."))
    assert not own["b"].is_met(fold("So Kant holds."))
    assert own["c"].is_met(fold("Quietly everything depends on others."))
    assert not own["c"].is_met(fold("Everything else."))


def test_a_script_without_spaces_is_told_by_its_characters() -> None:
    voices = [voice("a", "祖先を敬うことは子孫の務めである"), voice("b", "社会が老人を支えるべきだ")]
    own = only_in(voices)
    assert own["a"].is_met(fold("子孫の務めであるという"))
    assert not own["b"].is_met(fold("子孫の務めであるという"))


def test_a_name_leads_to_the_voices_that_hold_it() -> None:
    voices = [voice("a", "It was Gandhi, in India."), voice("b", "We read Gandhi and Freire here.")]
    text = "In India Gandhi was heard. Nobody quoted Paulo Freire or Mill."
    traced = trace_names(text, voices)
    assert [(each.text, each.perspectives) for each in traced] == [
        ("India", ("a",)),
        ("Gandhi", ("a", "b")),
        ("Paulo Freire", ("b",)),
    ]
    assert all(text[each.start : each.end] == each.text for each in traced)
    assert [each.text for each in trace_names(text, voices, hidden=[(0, 27)])] == ["Paulo Freire"]


def test_a_whole_name_leads_past_a_voice_that_has_one_word_of_it() -> None:
    voices = [voice("a", "The Prophet Muhammad taught it; Yunus too."), voice("b", "It was Muhammad Yunus who lent.")]
    assert [each.perspectives for each in trace_names("It was Muhammad Yunus.", voices)] == [("b",)]
