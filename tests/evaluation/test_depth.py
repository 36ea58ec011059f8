"""Depth tells a text that names cultures from one that says who in them holds what, against whom and why."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from multiplex.errors import ContentError
from multiplex.evaluation import FRAME, Evaluator
from multiplex.evaluation.depth.figures import Depth, depth_index
from multiplex.evaluation.depth.words import DepthWords, shipped_depth_words
from multiplex.evaluation.extraction.frames import read_frame, shipped_frames


@pytest.fixture(scope="module")
def evaluator() -> Evaluator:
    return Evaluator(sentiment=False)


def measure(evaluator: Evaluator, text: str) -> Depth:
    depth = evaluator.measure(text).depth
    assert depth is not None
    return depth


def test_a_text_of_labels_has_an_even_spread_and_no_depth(evaluator: Evaluator) -> None:
    labels = ("Western", "Islamic", "East Asian", "South Asian", "African", "Latin American", "Indigenous")
    measured = evaluator.measure(" ".join(f"{name} culture values the family." for name in labels))
    depth = measured.depth
    assert measured.entropy == pytest.approx(100.0)
    assert depth is not None
    assert (depth.label_share, depth.specific, depth.plurality, depth.index) == (1.0, 0, 0.0, 0.0)
    assert (depth.generalisations, depth.generalised) == (7, 1.0)


def test_a_text_without_a_reference_has_no_depth_rather_than_none_of_it(evaluator: Evaluator) -> None:
    depth = measure(evaluator, "The bus was late again.")
    assert (depth.label_share, depth.plurality, depth.generalised, depth.balance, depth.index) == (None,) * 5


def test_holders_are_counted_under_the_perspective_that_the_text_goes_on_about(evaluator: Evaluator) -> None:
    text = (
        "**African.** Kwasi Wiredu argued for consensus, because a majority vote leaves the minority out. "
        "Emmanuel Eze doubted it.\n\nSamkelo Ndlovu, from Durban, adds that women were not asked.\n\n"
        "**Islamic.** Zakat is due from wealth."
    )
    depth = measure(evaluator, text)
    assert depth.holders["african"] == pytest.approx(3.0)  # Wiredu, Eze and a name that no gazetteer knows, once each
    assert depth.holders["islamic"] == 0.0  # a practice holds no view
    assert depth.plural == 1
    assert depth.disagreements["african"] == 1
    assert depth.reasons["african"] == 13  # words of the one sentence with "because"
    assert depth.balance == 0.0  # all reasons are one perspective's
    assert depth.index == pytest.approx(depth_index(depth.label_share or 0.0, depth.plurality or 0.0))


@pytest.mark.parametrize(
    ("heading", "next_heading", "words"),
    [
        ("## Islamic", "## Conclusion", 0),
        ("**Islamic**", "**To conclude:**", 0),
        ("### Islamic", "# All together", 0),
        ("Islamic\n=======", "Conclusion\n==========", 0),
        ("Islamic:", "Conclusion:", 0),
        ("## Islamic", "### On kin", 8),  # below it
    ],
)
def test_a_section_ends_at_the_next_heading_of_its_rank(
    evaluator: Evaluator, heading: str, next_heading: str, words: int
) -> None:
    depth = measure(
        evaluator,
        f"{heading}\n\nZakat is due.\n\n{next_heading}\n\nFamilies matter because they care for each other.",
    )
    assert depth.reasons["islamic"] == words


def test_the_effective_number_of_holders_weighs_them_by_their_mentions(evaluator: Evaluator) -> None:
    depth = measure(evaluator, "Gandhi wrote this. Gandhi said so. Gandhi argued for it. Ambedkar wrote that.")
    assert depth.holders["south_asian"] == pytest.approx(math.exp(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25))))


@pytest.mark.parametrize(
    ("text", "set_against"),
    [
        ("Ambedkar disagreed with Gandhi about the village.", 1),
        ("Gandhi trusted the village, while Ambedkar saw narrowness there.", 1),
        ("Wiredu defends consensus, but critics say it silences the weak.", 1),
        ("Eze doubts Dr. Wiredu's consensus.", 1),  # a stop that ends no sentence ends no clause
        ("Gandhi and Ambedkar were both lawyers.", 0),
        ("Gandhi disagreed.", 0),
        ("Wiredu disagrees with Gandhi.", 0),  # one holder each of two perspectives
    ],
)
def test_inner_disagreement_needs_two_holders_of_one_perspective(
    evaluator: Evaluator, text: str, set_against: int
) -> None:
    assert sum(measure(evaluator, text).disagreements.values()) == set_against


@pytest.mark.parametrize(
    ("text", "general"),
    [
        ("Africans value community above the single person.", 1),
        ("Japanese families honour their elders every day.", 1),
        ("Many Africans value community above the single person.", 0),
        ("Africans value community, as Kwasi Wiredu argued in his essays.", 0),
        ("In a survey of 2019 Africans valued community most.", 0),
        ("The Koreans were defeated at the river crossing.", 0),
    ],
)
def test_a_generalisation_has_no_holder_quantifier_or_source(evaluator: Evaluator, text: str, general: int) -> None:
    assert measure(evaluator, text).generalisations == general


def test_every_figure_is_over_the_frame(evaluator: Evaluator) -> None:
    depth = measure(evaluator, "Hillel disagreed with Shammai, because the stranger must be taught.")
    assert set(depth.holders) == set(depth.disagreements) == set(depth.reasons) == set(FRAME)
    assert depth.scalars()["specific"] == 0


def test_a_wrong_file_of_words_is_named_with_its_field(tmp_path: Path) -> None:
    (tmp_path / "depth.yaml").write_text("says: []\n", "utf-8")
    with pytest.raises(ContentError, match=r"depth\.yaml:1: labels: Field required"):
        DepthWords.load(tmp_path / "depth.yaml")


def test_every_perspective_of_a_frame_that_ships_has_labels() -> None:
    labels = shipped_depth_words().labels
    assert not [name for path in shipped_frames().values() for name in read_frame(path).names if name not in labels]
