"""The statistics of a run come out right where the truth is known, and say what they stand on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pytest

from multiplex.bench.analysis.analysis import analysed
from multiplex.bench.analysis.extractor_errors import Confusions
from multiplex.bench.analysis.model import Analysis, Condition
from multiplex.bench.plan.units import CONTROLS, STRATEGIES, Unit
from multiplex.bench.store.records import Record, Score
from multiplex.errors import UsageError
from multiplex.evaluation import FRAME, Retention
from multiplex.evaluation.extraction.references import Reference
from multiplex.evaluation.retention.attribution import Attribution
from multiplex.evaluation.retention.coverage import Coverage
from multiplex.evaluation.statistics import diversity, resampling, row_sums
from tests.bench.simulated import NARROW, WIDE, answered, failed, measured, simulated, units

ALL_EVEN = (1, 1, 1, 1, 1, 1, 1)
ONE_ONLY = (7, 0, 0, 0, 0, 0, 0)
TWO = (4, 4, 0, 0, 0, 0, 0)
NONE = (0, 0, 0, 0, 0, 0, 0)


def run(records: Iterable[Record], **options: Any) -> Analysis:
    """The analysis with as few draws as a test needs."""
    return analysed(records, **{"resamples": 200, "permutations": 499} | options)


def made_of(asked: Sequence[Unit], counts: Callable[[Unit], Sequence[int]]) -> list[Record]:
    return [answered(unit, Score(measures=measured(counts(unit)))) for unit in asked]


def arm_of(analysis: Analysis, strategy: str) -> Condition:
    found = analysis.condition("m", strategy)
    assert found is not None
    return found


# The claim


def test_the_claim_holds_where_multiplex_is_wider_than_every_control() -> None:
    claim = run(simulated(units(STRATEGIES), {"multiplex": WIDE})).claims[0]
    assert claim.holds is True
    assert claim.tested == CONTROLS
    assert (claim.absent, claim.unbeaten, claim.p) == ((), (), 1 / 500)
    assert claim.least is not None
    assert claim.least.primary
    assert claim.least.difference.low is not None
    assert claim.least.difference.low > 0
    assert "wider than every control" in claim.text
    assert claim.least.strategy in claim.text


def test_the_claim_falls_where_all_are_alike() -> None:
    claim = run(simulated(units(STRATEGIES), {})).claims[0]
    assert claim.holds is False
    assert claim.p is not None
    assert claim.p > 0.05


def test_one_control_as_wide_brings_the_claim_down_and_is_named() -> None:
    claim = run(simulated(units(STRATEGIES), {"multiplex": WIDE, "checklist": WIDE})).claims[0]
    assert claim.holds is False
    assert claim.unbeaten == ("checklist",)
    assert claim.least is not None
    assert claim.least.strategy == "checklist"
    assert "does not hold" in claim.text
    assert "not shown to be above checklist, being" in claim.text.split("It is above")[0]
    assert "checklist" not in claim.text.split("It is above")[1]


def test_a_sure_loss_is_no_win() -> None:
    claim = run(simulated(units(("multiplex", "checklist")), {"checklist": WIDE})).claims[0]
    assert claim.holds is False
    assert claim.p == 1.0
    assert "points below checklist" in claim.text
    assert "It is shown to be above no control." in claim.text


def test_a_strategy_that_is_no_control_stands_beside_the_claim_and_decides_nothing() -> None:
    claim = run(simulated(units(STRATEGIES), {"multiplex": WIDE, "contextual": WIDE})).claims[0]
    assert (claim.holds, claim.unbeaten) == (True, ())
    beside = claim.text.split("Beside the claim")[1]
    assert "points above uniplex" in beside
    assert "not shown to be above contextual" in beside
    alone = run(simulated(units(("multiplex", "uniplex")), {"multiplex": WIDE})).claims[0]
    assert (alone.holds, alone.p, alone.tested) == (None, None, ())
    assert "no question was answered by multiplex and by a control" in alone.text
    assert "points above uniplex" in alone.text


@pytest.mark.parametrize(("questions", "models", "p"), [(5, 1, "0.0625"), (6, 2, "0.0625 by Holm over 2 models")])
def test_where_questions_are_too_few_for_any_p_the_claim_stays_open(questions: int, models: int, p: str) -> None:
    asked = units(STRATEGIES, questions=questions, models=("m", "n")[:models])
    analysis = run(made_of(asked, lambda unit: ALL_EVEN if unit.strategy == "multiplex" else ONE_ONLY))
    for claim in analysis.claims:
        assert claim.holds is None
        assert f"{questions} questions are too few to show" in claim.text
        assert f"p cannot be below {p}." in claim.text
        assert claim.flipping == ()


def test_a_control_that_was_not_run_leaves_the_claim_open_and_is_named() -> None:
    claim = run(simulated(units(("multiplex", "uniplex", "checklist")), {"multiplex": WIDE})).claims[0]
    assert claim.holds is None
    assert set(claim.absent) == {"solo-council", "uniplex-long", "echo-council", "blank-council"}
    assert "not tested against solo-council, uniplex-long, echo-council, blank-council" in claim.text
    assert "contextual" not in claim.text


def test_without_a_rival_nothing_is_claimed() -> None:
    claim = run(simulated(units(("multiplex",)), {})).claims[0]
    assert (claim.holds, claim.p, claim.least, claim.tested) == (None, None, None, ())
    assert "nothing can be claimed" in claim.text


def test_holm_over_two_models_takes_a_claim_that_one_alone_would_keep() -> None:
    """Nine questions, all won but the first: p is about 2 (1 + 9) / 2^9 = 0.04, which Holm doubles."""
    asked = units(STRATEGIES, questions=9, models=("a", "b"))
    lost = asked[0].question_id

    def wins(unit: Unit) -> Sequence[int]:
        return ALL_EVEN if (unit.strategy == "multiplex") == (unit.question_id != lost) else ONE_ONLY

    both = run(made_of(asked, wins), permutations=9999)
    alone = run(made_of([unit for unit in asked if unit.model == "a"], wins), permutations=9999)
    assert alone.claims[0].holds is True
    p = alone.claims[0].p
    assert p is not None
    assert p == pytest.approx(2 * 10 / 2**9, abs=0.006)
    for claim in both.claims:
        assert claim.p == p
        assert claim.p_holm == pytest.approx(2 * p)
        assert claim.holds is False
        assert claim.unbeaten == ()
        assert "once 2 models are allowed for" in claim.text


def test_only_the_fixed_figure_is_primary() -> None:
    analysis = run(simulated(units(("multiplex", "uniplex"), questions=8), {}))
    assert [(each.weighting, each.reading) for each in analysis.contrasts if each.primary] == [("reference", "macro0")]
    assert len(analysis.contrasts) == 11  # three weightings by three readings, and two without the prompt's names


# What figures stand on


def test_epochs_are_averaged_within_a_question_first() -> None:
    """A question with three epochs of 100% and one with a single 0% come to 50%, not to 75%."""
    asked = units(("multiplex",), questions=2, epochs=3)
    records = [
        failed(unit)
        if unit.question_id == "q1" and unit.epoch > 1
        else answered(unit, Score(measures=measured(ALL_EVEN if unit.question_id == "q0" else ONE_ONLY)))
        for unit in asked
    ]
    condition = arm_of(run(records), "multiplex")
    assert (condition.units, condition.measured, condition.failed, condition.questions) == (6, 4, 2, 2)
    assert condition.primary.value == pytest.approx(50.0)
    assert condition.references == 28
    assert condition.weightings["reference"].shares["western"].value == pytest.approx((1 + 7) / 14)
    assert {group.name: (group.answers, group.references) for group in condition.domains} == {
        "ethics": (3, 21),
        "religion": (1, 7),
    }


def test_an_arm_says_what_is_missing_from_it() -> None:
    asked = units(("multiplex", "uniplex"), questions=6)
    full = Score(measures=measured(ALL_EVEN))
    special: dict[tuple[str, str], Callable[[Unit], Record]] = {
        ("q0", "uniplex"): failed,
        ("q1", "uniplex"): lambda unit: failed(unit, "server"),
        ("q2", "uniplex"): lambda unit: answered(unit, Score(measures=None, note="no word")),
        ("q3", "uniplex"): lambda unit: answered(unit, None),
        ("q4", "uniplex"): lambda unit: Record(unit=unit),
        ("q4", "multiplex"): lambda unit: answered(unit, full, lost=("african", "western")),
    }

    def usual(unit: Unit) -> Record:
        return answered(unit, full)

    records = [special.get((unit.question_id, unit.strategy), usual)(unit) for unit in asked]
    analysis = run(records)
    condition = arm_of(analysis, "uniplex")
    assert (
        condition.units,
        condition.failed,
        condition.wordless,
        condition.unscored,
        condition.pending,
        condition.measured,
    ) == (6, 2, 1, 1, 1, 1)
    assert condition.failures == {"timeout": 1, "server": 1}
    assert (analysis.units, analysis.answered, analysis.failed, analysis.pending) == (12, 9, 2, 1)
    note = next(note for note in analysis.notes if note.startswith("m, uniplex"))
    assert "of 6 units 2 failed (timeout 1, server 1), 1 pending, 1 without a word, 1 not measured yet" in note
    assert "1 answers to 1 questions" in note
    assert arm_of(analysis, "multiplex").lost == {"african": 1, "western": 1}
    assert any("lack a voice (african 1, western 1)" in note for note in analysis.notes)
    primary = next(each for each in analysis.contrasts if each.primary)
    assert primary.questions == 1  # only the one that both answered


def test_answers_without_references_have_no_entropy_and_count_as_nought_in_mean0_alone() -> None:
    asked = units(("multiplex", "uniplex"), questions=8)

    def counts(unit: Unit) -> Sequence[int]:
        if unit.strategy == "multiplex":
            return ALL_EVEN
        return NONE if int(unit.question_id[1:]) < 6 else ALL_EVEN

    analysis = run(made_of(asked, counts))
    condition = arm_of(analysis, "uniplex")
    assert condition.referring.value == pytest.approx(0.25)
    assert condition.weightings["reference"].macro.value == pytest.approx(100.0)
    assert condition.primary.value == pytest.approx(25.0)
    differences = {each.reading: each for each in analysis.contrasts if each.weighting == "reference"}
    assert differences["macro0"].difference.value == pytest.approx(75.0)
    assert (differences["macro"].dropped, differences["macro"].difference.value) == (6, 0.0)
    assert any("6 of 8 questions" in note for note in analysis.notes)


def test_an_arm_without_any_reference_has_figures_that_do_not_exist() -> None:
    condition = arm_of(run(made_of(units(("uniplex",), questions=4), lambda _: NONE)), "uniplex")
    weighting = condition.weightings["reference"]
    assert (weighting.macro.value, weighting.micro.value, weighting.jackknife) == (None, None, None)
    assert (condition.primary.value, condition.excluded.value, condition.berger_parker.value) == (0.0, 1.0, None)
    assert (condition.never, condition.stance, condition.tokens_per_point) == (FRAME, {}, None)
    assert {share.value for share in weighting.shares.values()} == {None}


def test_nothing_measured_is_told() -> None:
    with pytest.raises(UsageError, match="no answer of this run was measured"):
        run([failed(unit) for unit in units(("uniplex",), questions=2)])


def test_two_frames_in_one_run_are_refused() -> None:
    first, second = made_of(units(("uniplex",), questions=2), lambda _: ALL_EVEN)
    assert second.score is not None
    assert second.score.measures is not None
    other = second.score.measures.model_copy(update={"frame": FRAME[:2]})
    with pytest.raises(UsageError, match="another frame"):
        run([first, second.model_copy(update={"score": Score(measures=other)})])


# Figures of a condition


def test_figures_of_an_arm_are_those_of_the_evaluation() -> None:
    rng = np.random.default_rng(3)
    drawn = {f"q{i}": [int(n) for n in rng.poisson((3, 1, 1, 0.5, 0.5, 0.2, 0))] for i in range(20)}
    asked = units(("multiplex",), questions=20)
    condition = arm_of(run(made_of(asked, lambda unit: drawn[unit.question_id])), "multiplex")
    rows = row_sums.answer_rows(np.array(list(drawn.values()), dtype=float))
    labels = [unit.domain for unit in asked]
    expected = resampling.bootstrap(row_sums.by_stratum(rows, labels), {"H": row_sums.MACRO0}, resamples=200, seed=7)[
        "H"
    ]
    assert condition.primary.value == pytest.approx(expected.value)
    assert expected.interval is not None
    assert (condition.primary.low, condition.primary.high) == pytest.approx(
        (expected.interval.low, expected.interval.high)
    )
    totals = {name: sum(row[k] for row in drawn.values()) for k, name in enumerate(FRAME)}
    assert condition.weightings["reference"].micro.value == pytest.approx(diversity.entropy_percent(totals))
    assert condition.weightings["reference"].hill_number.value == pytest.approx(diversity.hill_number(totals))
    assert condition.expected_perspectives == pytest.approx(diversity.expected_perspectives(totals))
    assert condition.never == ("indigenous",)
    presence = {name: sum(row[k] > 0 for row in drawn.values()) for k, name in enumerate(FRAME)}
    shares = {name: share.value for name, share in condition.weightings["presence"].shares.items()}
    assert shares == pytest.approx(diversity.shares(presence))
    assert condition.weightings["reference"].jackknife is not None
    assert condition.sentiment is not None
    assert condition.sentiment["positive"].value == pytest.approx(0.5)
    assert condition.labels is not None
    assert condition.labels["positive"].value == 1.0
    assert condition.primary.value is not None
    assert condition.tokens_per_point == pytest.approx(600 / condition.primary.value)


def test_tokens_that_no_endpoint_reports_are_unknown_and_not_nought() -> None:
    asked = units(("uniplex",), questions=4)
    score = Score(measures=measured(ALL_EVEN))
    condition = arm_of(
        run([answered(unit, score, tokens=300 if n else None) for n, unit in enumerate(asked)]), "uniplex"
    )
    assert (condition.input_tokens.value, condition.tokens_reported) == (300.0, 3)
    dark = arm_of(run([answered(unit, score, tokens=None) for unit in asked]), "uniplex")
    assert (dark.input_tokens.value, dark.tokens_reported, dark.tokens_per_point) == (None, 0, None)


def test_entropy_without_the_prompts_names_is_apart() -> None:
    asked = units(("multiplex", "uniplex"), questions=8)
    records = [
        answered(unit, Score(measures=measured(ALL_EVEN, unprompted=ONE_ONLY)))
        if unit.strategy == "multiplex"
        else answered(unit, Score(measures=measured(TWO)))
        for unit in asked
    ]
    analysis = run(records)
    condition = arm_of(analysis, "multiplex")
    assert (condition.primary.value, condition.unprompted_macro0.value) == pytest.approx((100.0, 0.0))
    found = next(each for each in analysis.contrasts if (each.weighting, each.reading) == ("unprompted", "macro0"))
    two = diversity.entropy_percent(dict(zip(FRAME, TWO, strict=True)))
    assert two is not None
    assert found.difference.value == pytest.approx(-two)


def test_what_lies_outside_the_frame_is_a_part_of_all_references() -> None:
    (unit,) = units(("uniplex",), questions=1)
    found = [("east_asian", 0), ("jewish", 1), ("secular", 2), ("african", 3)]
    references = tuple(Reference(9 * n, 9 * n + 5, "words", "", name, "named", n) for name, n in found)
    measures = measured((0, 0, 1, 0, 1, 0, 0)).model_copy(update={"references": references})
    assert arm_of(run([answered(unit, Score(measures=measures))]), "uniplex").out_of_frame.value == 0.5


def test_domains_and_wordings_stand_apart() -> None:
    asked = units(("uniplex",), questions=16)
    analysis = run(made_of(asked, lambda unit: ALL_EVEN if unit.cued else TWO))
    cued, plain = arm_of(analysis, "uniplex").cued
    assert [(group.name, group.questions) for group in (cued, plain)] == [("cued", 8), ("not cued", 8)]
    assert (cued.macro0.value, plain.shares["islamic"]) == pytest.approx((100.0, 0.5))
    assert [group.name for group in arm_of(analysis, "uniplex").domains] == list(analysis.domains)
    unknown = [unit.model_copy(update={"domain": "", "cued": None}) for unit in asked]
    condition = arm_of(run(made_of(unknown, lambda _: TWO)), "uniplex")
    assert (condition.domains, condition.cued) == ((), ())


def test_a_result_that_one_domain_carries_is_shown_by_leaving_it_out() -> None:
    asked = units(("multiplex", "checklist"), questions=40)

    def counts(unit: Unit) -> Sequence[int]:
        return ALL_EVEN if unit.strategy == "multiplex" and unit.domain == "religion" else TWO

    analysis = run(made_of(asked, counts))
    flips = {each.domain: each.flips for each in analysis.left_out}
    assert flips == {"ethics": False, "religion": True, "lifestyle": False, "technology": False}
    assert all(each.questions == 30 for each in analysis.left_out)
    assert analysis.claims[0].flipping == ("religion",)
    assert "Without the domain religion a comparison comes out otherwise" in analysis.claims[0].text


# Voices


def retention(predicted: dict[str, str], overlap: float) -> Retention:
    right = sum(name == taken for name, taken in predicted.items())
    told = Attribution(
        n=len(predicted), chance=1 / len(FRAME), right=right, p=1.0, predicted=predicted,
        relative_right=right, relative_p=1.0, relative_predicted=predicted,
    )  # fmt: skip
    coverage = Coverage(
        kind="overlap",
        threshold=0.8,
        perspectives={},
        mean=overlap,
        mean_net=overlap - 0.1,
        evenness=None,
        extractiveness=0.9,
    )
    return Retention(
        coverage=coverage, voice_attribution=told, part_attribution=None, homogeneity=0.4, homogenisation=None
    )


def test_voices_that_speak_as_their_names_say_are_told_from_shuffled_ones() -> None:
    asked = units(("multiplex",), questions=8)
    score = Score(
        measures=measured(ALL_EVEN),
        retention=retention({name: name for name in FRAME}, 0.6),
        voices={name: {other: 8 if other == name else 1 for other in FRAME} for name in FRAME},
    )
    analysis = run([answered(unit, score) for unit in asked])
    found = {each.what: each for each in analysis.label_permutations}
    assert len(found) == 3
    assert {each.p for each in found.values()} == {1 / 500}
    blind, own = found["blind attribution"], found["own references"]
    assert (blind.observed, blind.expected, blind.voices) == pytest.approx((1.0, 1 / 7, 56))
    assert (own.observed, own.expected) == pytest.approx((8 / 14, 1 / 7))
    council = arm_of(analysis, "multiplex").council
    assert council is not None
    assert council.voice_attribution is not None
    assert (council.answers, council.coverage.value, council.net.value) == pytest.approx((8, 0.6, 0.5))
    assert (council.by_construction, council.evenness.value, council.part_attribution) == (1.0, None, None)
    assert (council.voice_attribution.right, council.voice_attribution.texts) == (56, 56)


def test_what_was_kept_of_a_single_part_counts_in_no_attribution() -> None:
    one, two = (retention({name: name for name in FRAME[:n]}, 0.6).voice_attribution for n in (1, 2))
    kept = [
        retention({}, 0.6).model_copy(update={"voice_attribution": None, "part_attribution": of}) for of in (one, two)
    ]
    asked = units(("multiplex",), questions=2)
    records = [
        answered(unit, Score(measures=measured(ALL_EVEN), retention=of)) for unit, of in zip(asked, kept, strict=True)
    ]
    council = arm_of(run(records), "multiplex").council
    assert council is not None
    assert council.part_attribution is not None
    assert (council.part_attribution.texts, council.part_attribution.relative_right) == (2, 2)


def test_voices_that_say_the_same_are_not_told_from_shuffled_ones() -> None:
    asked = units(("multiplex",), questions=8)
    alike = Score(
        measures=measured(ALL_EVEN),
        retention=retention(dict.fromkeys(FRAME, "western"), 0.6),
        voices={name: dict(zip(FRAME, (5, 1, 1, 1, 1, 1, 1), strict=True)) for name in FRAME},
    )
    for each in run([answered(unit, alike) for unit in asked]).label_permutations:
        assert each.observed == pytest.approx(each.expected)
        assert each.p == 1.0


def test_silent_voices_and_single_ones_are_not_shuffled() -> None:
    asked = units(("multiplex",), questions=3)
    nobody = {name: dict.fromkeys(FRAME, 0) for name in FRAME}
    score = Score(measures=measured(ALL_EVEN), voices=nobody | {"western": dict.fromkeys(FRAME, 1)})
    assert run([answered(unit, score) for unit in asked]).label_permutations == ()


# The extractor


def test_recalls_that_agree_leave_shares_as_they_are_and_say_so() -> None:
    analysis = run(simulated(units(("uniplex",), questions=4), {}))
    known = analysis.reliability
    assert known is not None
    assert not known.corrects
    assert known.ratio == pytest.approx((112.5 / 115) / (39.5 / 44))
    assert known.precision["islamic"] == pytest.approx(67 / 70.5)
    assert "within 1.2: shares are not corrected; of indigenous no text is labelled there" in known.note
    assert arm_of(analysis, "uniplex").corrected is None
    # A frame whose perspectives bear the same names is not the one whose texts were labelled.
    assert Confusions.load().reliability(FRAME, ("named", "concept"), frame_name="scriptures") is None


def test_recalls_that_differ_bring_back_the_true_shares() -> None:
    """A perspective of which half is missed, a tenth of it taken for another: the truth comes out of what is seen."""
    table = {
        "cues": ["named", "concept"],
        "found": ["western", "islamic", "none"],
        "rows": {"western": [90, 0, 10], "islamic": [10, 50, 40]},
    }
    confusions = Confusions.model_validate({"texts": "made up", "limit": 1.2, "tables": [table]})

    def correct(western: float, islamic: float, *cues: str, frame_name: str = "choice") -> dict[str, float] | None:
        return confusions.corrected({"western": western, "islamic": islamic}, cues, frame_name=frame_name)

    corrected = correct(0.9 * 60 + 0.1 * 40, 0.5 * 40, "concept", "named")
    assert corrected == pytest.approx({"western": 0.6, "islamic": 0.4})
    assert correct(1, 1, "implied") is None
    assert correct(0, 0, "named", "concept") is None
    assert correct(64, 20, "named", "concept", frame_name="regions") is None
    analysis = run(made_of(units(("uniplex",), questions=4), lambda _: TWO), confusions=confusions)
    condition = arm_of(analysis, "uniplex")
    assert condition.corrected is not None
    assert condition.corrected["islamic"] > condition.corrected["western"]
    assert analysis.reliability is not None
    assert "corrected shares stand beside" in analysis.reliability.note


def test_an_analysis_is_the_same_twice_and_survives_json() -> None:
    asked = units(("multiplex", "uniplex"), questions=8)
    once, again = (run(simulated(asked, {"multiplex": NARROW})) for _ in range(2))
    assert once == again == Analysis.model_validate_json(once.model_dump_json())
