from __future__ import annotations

import pytest

from multiplex.bench.plan.questions import Question
from multiplex.bench.plan.units import STRATEGIES, matrix, unit_id
from multiplex.errors import UsageError

ASKED = (Question(id="a", question="Why?", domain="History"), Question(id="b", question="How?", cued=True))


def test_the_matrix_has_one_unit_for_every_question_model_strategy_and_epoch() -> None:
    units = matrix(ASKED, ["m", "n"], ["uniplex", "multiplex"], 3, seed=7)
    assert len(units) == len({unit.id for unit in units}) == 2 * 2 * 2 * 3


def test_a_unit_has_the_same_id_in_every_run_and_another_for_other_words() -> None:
    [unit] = matrix(ASKED[:1], ["m"], ["uniplex"], 1, seed=7)
    [other] = matrix(ASKED[:1], ["m"], ["uniplex"], 1, seed=8)
    assert unit.id == other.id == "e2528d7fcf2dc39c"
    assert unit_id(Question(id="a", question="Why not?"), "m", "uniplex", 1) != unit.id


def test_the_seed_is_that_of_the_question_and_epoch_whatever_the_strategy_and_model() -> None:
    seeds = {(unit.question_id, unit.epoch): unit.seed for unit in matrix(ASKED, ["m"], ["multiplex"], 2, seed=7)}
    assert len(set(seeds.values())) == 4
    for unit in matrix(ASKED, ["m", "n"], STRATEGIES, 2, seed=7):
        assert unit.seed == seeds[unit.question_id, unit.epoch]


def test_a_length_matched_control_needs_the_multiplex_unit_of_its_question_model_and_epoch() -> None:
    units = matrix(ASKED, ["m", "n"], ["checklist", "multiplex", "uniplex-long", "blank-council"], 2, seed=7)
    by_id = {unit.id: unit for unit in units}
    for place, unit in enumerate(units):
        if unit.strategy in ("checklist", "uniplex-long"):
            assert unit.needs is not None
            first = by_id[unit.needs]
            same = (first.question_id, first.model, first.epoch) == (unit.question_id, unit.model, unit.epoch)
            assert same
            assert first.strategy == "multiplex"
            assert units.index(first) < place
        else:
            assert unit.needs is None


@pytest.mark.parametrize(
    ("strategies", "epochs", "said"),
    [
        (["checklist"], 1, "'checklist' is as long as the multiplex answer of its question; add 'multiplex'"),
        (["uniplex-long", "uniplex"], 1, "'uniplex-long' is as long"),
        (["duplex"], 1, "no strategy 'duplex'; there are multiplex, uniplex,"),
        ([], 1, "--strategies names none"),
        (["uniplex"], 0, "--epochs 0"),
    ],
)
def test_a_wrong_matrix_is_refused(strategies: list[str], epochs: int, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        matrix(ASKED, ["m"], strategies, epochs, seed=7)
