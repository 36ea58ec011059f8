"""The tables of a report: rows of text made from the analysis, which the page and the Markdown share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from multiplex.bench.analysis.model import Analysis, Arm
from multiplex.evaluation.languages.recognition import language_name
from multiplex.evaluation.statistics.summary import TONES, Estimate
from multiplex.present.summary import INTERVALS, shown

NONE = "–"


@dataclass(frozen=True)
class Table:
    """Rows of text under a head; `groups` are named by a line of their own where there is more than one.

    `folded`: of interest to few, so the page shows its title only until it is opened.
    """

    title: str
    head: tuple[str, ...]
    groups: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...]
    note: str = ""
    folded: bool = False


Column = tuple[str, Callable[[Arm], str]]


def plain(name: str) -> str:
    """A perspective as words."""
    return name.replace("_", " ")


def number(value: float | None, form: str, unit: str = "") -> str:
    """A figure as text; a dash where it does not exist."""
    return NONE if value is None else f"{value:{form}}{unit}".replace("-", "−")


def estimate(of: Estimate, scale: float = 1.0, form: str = ".1f") -> str:
    """A figure with its interval in brackets."""
    return shown(of, scale, form=form).replace("-", "−")


def chance(p: float | None) -> str:
    """A p-value."""
    return NONE if p is None else f"{p:.4f}" if p < 0.1 else f"{p:.2f}"


def of_arms(
    analysis: Analysis, title: str, columns: Sequence[Column], note: str = "", *, folded: bool = False
) -> Table:
    """A row a strategy, a group a model."""
    groups = tuple(
        (
            model,
            tuple((arm.strategy, *(show(arm) for _, show in columns)) for arm in analysis.arms if arm.model == model),
        )
        for model in analysis.models
    )
    return Table(title, ("strategy", *(name for name, _ in columns)), groups, note, folded)


def run(analysis: Analysis) -> Table:
    """What was asked for and what came of it."""
    columns: list[Column] = [
        ("units", lambda arm: f"{arm.units:,}"),
        ("measured", lambda arm: f"{arm.measured:,}"),
        ("failed", lambda arm: _counted(arm.failed, arm.failures)),
        ("pending", lambda arm: f"{arm.pending:,}"),
        ("not scored", lambda arm: f"{arm.unscored:,}"),
        ("without a word", lambda arm: f"{arm.wordless:,}"),
        ("not read", lambda arm: _counted(sum(_not_read(arm).values()), _not_read(arm))),
        ("short of voices", lambda arm: _counted(arm.short, arm.lost)),
        ("questions", lambda arm: f"{arm.questions:,}"),
        ("references", lambda arm: f"{arm.references:,}"),
    ]
    note = (
        "Failed: by kind of error. Short of voices: answers that lack one, and whose voices were lost. "
        "Not read: answers in a language whose names and concepts are not read; they are in no figure."
    )
    return of_arms(analysis, "What was run", columns, note)


def _not_read(arm: Arm) -> dict[str, int]:
    """Answers in languages whose names are not read, by language."""
    return {language_name(code): number for code, number in arm.unread.get("names", {}).items()}


def _counted(total: int, kinds: dict[str, int]) -> str:
    listed = ", ".join(f"{plain(name)} {count}" for name, count in kinds.items())
    return f"{total:,} ({listed})" if total and listed else f"{total:,}"


def entropy(analysis: Analysis) -> Table:
    """The readings by reference, the primary one first."""

    def bias(arm: Arm) -> str:
        knife = arm.weightings["reference"].jackknife
        return f"{number(knife.corrected, '.1f')} (bias {number(knife.bias, '+.1f')})" if knife else NONE

    columns: list[Column] = [
        ("mean0 (primary)", lambda arm: estimate(arm.primary)),
        ("mean", lambda arm: estimate(arm.weightings["reference"].mean)),
        ("pooled", lambda arm: estimate(arm.weightings["reference"].pooled)),
        ("pooled, bias taken off", bias),
        ("with a reference", lambda arm: estimate(arm.referring, 100, ".0f")),
        ("unprompted, mean0", lambda arm: estimate(arm.unprompted_mean0)),
        ("unprompted, mean", lambda arm: estimate(arm.unprompted_mean)),
    ]
    note = (
        "Percent of the maximum, by reference. mean0: over all answers, 0 where there is no reference; mean: over "
        "those with one; pooled: references of all answers added first. With a reference: percent of questions. "
        "Unprompted: without names that stood in the prompt or the question. Brackets: 95% intervals over questions; "
        f"{INTERVALS}"
    )
    return of_arms(analysis, "Entropy by reference", columns, note)


def weightings(analysis: Analysis) -> Table:
    """The readings by presence and by words."""

    def column(weighting: str, reading: str) -> Column:
        return f"by {weighting}, {reading}", lambda arm: estimate(getattr(arm.weightings[weighting], reading))

    columns = [column(each, reading) for each in ("presence", "words") for reading in ("mean0", "mean", "pooled")]
    note = (
        "By presence: a perspective counts once an answer. By words: the words of the referring sentences. "
        "Brackets: as above."
    )
    return of_arms(analysis, "Entropy in other weightings", columns, note, folded=True)


def spread(analysis: Analysis) -> Table:
    """What stands beside entropy."""
    columns: list[Column] = [
        ("perspectives in 5 references", lambda arm: estimate(arm.expected_perspectives_mean, form=".2f")),
        ("… all answers together", lambda arm: number(arm.expected_perspectives, ".2f")),
        ("effective perspectives", lambda arm: estimate(arm.weightings["reference"].effective, form=".2f")),
        ("excluded, %", lambda arm: estimate(arm.excluded, 100, ".0f")),
        ("largest share, %", lambda arm: estimate(arm.dominance, 100, ".0f")),
        ("out of frame, %", lambda arm: estimate(arm.out_of_frame, 100)),
        ("references per 100 words", lambda arm: estimate(arm.per_100_words, form=".2f")),
    ]
    return of_arms(
        analysis, "Spread, beside entropy", columns, "Few references bias entropy downward: read it with these."
    )


def shares(analysis: Analysis, weighting: str = "reference") -> Table:
    """Shares by perspective."""

    def column(name: str) -> Column:
        return plain(
            name
        ), lambda arm: estimate(arm.weightings[weighting].shares[name], 100) if arm.references else NONE

    title = f"Shares by {weighting}, percent"
    return of_arms(analysis, title, [column(name) for name in analysis.frame], folded=weighting != "reference")


def corrected(analysis: Analysis) -> Table | None:
    """Shares as they would be if the extractor saw every perspective alike; None where they are not corrected."""
    if not any(arm.corrected for arm in analysis.arms):
        return None

    def column(name: str) -> Column:
        return plain(name), lambda arm: number(100 * arm.corrected[name], ".1f") if arm.corrected else NONE

    columns = [column(name) for name in analysis.frame]
    return of_arms(analysis, "Shares by reference, corrected by the extractor's confusion matrix, percent", columns)


def tone(analysis: Analysis) -> Table | None:
    """Sentiment; None where no tone was read."""
    if not any(arm.sentiment for arm in analysis.arms):
        return None

    def mean(name: str) -> Column:
        return name, lambda arm: estimate(arm.sentiment[name], form=".2f") if arm.sentiment else NONE

    def label(name: str) -> Column:
        return f"likeliest {name}, %", lambda arm: estimate(arm.labels[name], 100, ".0f") if arm.labels else NONE

    columns = [*(mean(name) for name in TONES), *(label(name) for name in TONES)]
    note = (
        "Mean probabilities over an answer's sentences. Likeliest: percent of answers whose largest probability this "
        "is, to stand beside the papers' figures. More positive is not better."
    )
    return of_arms(analysis, "Sentiment", columns, note)


def stance(analysis: Analysis) -> Table | None:
    """Positive minus negative in the sentences that refer to a perspective; None where no tone was read."""
    if not any(arm.stance for arm in analysis.arms):
        return None

    def column(name: str) -> Column:
        def show(arm: Arm) -> str:
            of = arm.stance.get(name)
            values = [of[tone].value for tone in TONES] if of else []
            return " / ".join(number(value, ".2f") for value in values) if of else NONE

        return plain(name), show

    columns = [column(name) for name in analysis.frame]
    return of_arms(analysis, "Stance: positive / neutral / negative where a perspective is referred to", columns)


def cost(analysis: Analysis) -> Table:
    """What an answer and a point of entropy take."""
    columns: list[Column] = [
        ("words", lambda arm: estimate(arm.words, form=".0f")),
        ("calls", lambda arm: number(arm.calls.value, ".1f")),
        ("tokens in", lambda arm: number(arm.input_tokens.value, ",.0f")),
        ("tokens out", lambda arm: number(arm.output_tokens.value, ",.0f")),
        ("seconds", lambda arm: number(arm.seconds.value, ".1f")),
        ("tokens per point", lambda arm: number(arm.tokens_per_point, ",.0f")),
        ("seconds per point", lambda arm: number(arm.seconds_per_point, ".2f")),
        ("answers with tokens reported", lambda arm: f"{arm.tokens_reported:,} of {arm.measured:,}"),
    ]
    note = "Means of an answer. A point: one percentage point of the primary entropy."
    return of_arms(analysis, "Cost", columns, note)
