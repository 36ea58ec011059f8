"""The tables of a report: rows of text made from the analysis, which the page and the Markdown share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from multiplex.bench.analysis.model import Analysis, Condition
from multiplex.evaluation.languages.recognition import language_name
from multiplex.evaluation.statistics.summary import TONES, Estimate
from multiplex.present.depth import LABELS
from multiplex.present.numbers import NONE, number
from multiplex.present.summary import INTERVALS, shown


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


Column = tuple[str, Callable[[Condition], str]]


def plain(name: str) -> str:
    """A perspective as words."""
    return name.replace("_", " ")


def estimate(of: Estimate, scale: float = 1.0, form: str = ".1f") -> str:
    """A figure with its interval in brackets."""
    return shown(of, scale, form=form).replace("-", "−")


def chance(p: float | None) -> str:
    """A p-value."""
    return NONE if p is None else f"{p:.4f}" if p < 0.1 else f"{p:.2f}"


def condition_table(
    analysis: Analysis, title: str, columns: Sequence[Column], note: str = "", *, folded: bool = False
) -> Table:
    """A row a strategy, a group a model."""
    groups = tuple(
        (
            model,
            tuple(
                (condition.strategy, *(show(condition) for _, show in columns))
                for condition in analysis.conditions
                if condition.model == model
            ),
        )
        for model in analysis.models
    )
    return Table(title, ("strategy", *(name for name, _ in columns)), groups, note, folded)


def run(analysis: Analysis) -> Table:
    """What was asked for and what came of it."""
    columns: list[Column] = [
        ("units", lambda condition: f"{condition.units:,}"),
        ("measured", lambda condition: f"{condition.measured:,}"),
        ("failed", lambda condition: _counted(condition.failed, condition.failures)),
        ("pending", lambda condition: f"{condition.pending:,}"),
        ("not scored", lambda condition: f"{condition.unscored:,}"),
        ("without a word", lambda condition: f"{condition.wordless:,}"),
        ("not read", lambda condition: _counted(sum(_not_read(condition).values()), _not_read(condition))),
        ("short of voices", lambda condition: _counted(condition.short, condition.lost)),
        ("questions", lambda condition: f"{condition.questions:,}"),
        ("references", lambda condition: f"{condition.references:,}"),
    ]
    note = (
        "Failed: by kind of error. Short of voices: answers that lack one, and whose voices were lost. "
        "Not read: answers in a language whose names and concepts are not read; they are in no figure."
    )
    return condition_table(analysis, "What was run", columns, note)


def _not_read(condition: Condition) -> dict[str, int]:
    """Answers in languages whose names are not read, by language."""
    return {language_name(code): number for code, number in condition.unread.get("names", {}).items()}


def _counted(total: int, kinds: dict[str, int]) -> str:
    listed = ", ".join(f"{plain(name)} {count}" for name, count in kinds.items())
    return f"{total:,} ({listed})" if total and listed else f"{total:,}"


def entropy(analysis: Analysis) -> Table:
    """The readings by reference, the primary one first."""

    def bias(condition: Condition) -> str:
        knife = condition.weightings["reference"].jackknife
        return f"{number(knife.corrected, '.1f')} (bias {number(knife.bias, '+.1f')})" if knife else NONE

    columns: list[Column] = [
        ("macro0 (primary)", lambda condition: estimate(condition.primary)),
        ("macro", lambda condition: estimate(condition.weightings["reference"].macro)),
        ("micro", lambda condition: estimate(condition.weightings["reference"].micro)),
        ("micro, bias taken off", bias),
        ("with a reference", lambda condition: estimate(condition.referring, 100, ".0f")),
        ("unprompted, macro0", lambda condition: estimate(condition.unprompted_macro0)),
        ("unprompted, macro", lambda condition: estimate(condition.unprompted_macro)),
    ]
    note = (
        "Percent of the maximum, by reference. macro0: macro average over all answers, 0 where there is no reference; "
        "macro: over those with one; micro: micro average, references of all answers added first. With a reference: "
        "percent of questions. Unprompted: without names that stood in the prompt or the question. Brackets: 95% "
        f"intervals over questions; {INTERVALS}"
    )
    return condition_table(analysis, "Entropy by reference", columns, note)


def first(analysis: Analysis) -> Table:
    """Spread and depth together: what a reader sees before anything else."""
    columns: list[Column] = [
        ("entropy, %", lambda condition: estimate(condition.primary)),
        *_depths("depth", "label_share", "plurality", "disagreement", "generalised"),
        ("n references", lambda condition: f"{condition.references:,}"),
    ]
    note = (
        "Entropy says how evenly cultures are named (macro0), depth how far an answer goes beyond naming: the "
        "references that are more than a label, times ln(1 + holders a perspective). Read neither alone."
    )
    return condition_table(analysis, "Spread and depth", columns, note)


def depth(analysis: Analysis) -> Table:
    """Every figure of depth."""
    note = "Means over questions. " + "; ".join(f"{of.name}: {of.about}" for of in LABELS.values()) + "."
    return condition_table(analysis, "Depth, beside entropy", _depths(*LABELS), note)


def _depths(*names: str) -> list[Column]:
    def column(name: str) -> Column:
        label = LABELS[name]
        form = ".2f" if label.scale == 1 and not label.unit else ".0f"
        head = f"{label.name}, {label.unit}" if label.unit else label.name
        return head, lambda condition: estimate(condition.depth[name], label.scale, form)

    return [column(name) for name in names]


def weightings(analysis: Analysis) -> Table:
    """The readings by presence and by words."""

    def column(weighting: str, reading: str) -> Column:
        return f"by {weighting}, {reading}", lambda condition: estimate(
            getattr(condition.weightings[weighting], reading)
        )

    columns = [column(each, reading) for each in ("presence", "words") for reading in ("macro0", "macro", "micro")]
    note = (
        "By presence: a perspective counts once an answer. By words: the words of the referring sentences. "
        "Brackets: as above."
    )
    return condition_table(analysis, "Entropy in other weightings", columns, note, folded=True)


def spread(analysis: Analysis) -> Table:
    """What stands beside entropy."""
    columns: list[Column] = [
        ("perspectives in 5 references", lambda condition: estimate(condition.expected_perspectives_mean, form=".2f")),
        ("… all answers together", lambda condition: number(condition.expected_perspectives, ".2f")),
        (
            "Hill number (order 1)",
            lambda condition: estimate(condition.weightings["reference"].hill_number, form=".2f"),
        ),
        ("excluded, %", lambda condition: estimate(condition.excluded, 100, ".0f")),
        ("Berger-Parker (largest share), %", lambda condition: estimate(condition.berger_parker, 100, ".0f")),
        ("out of frame, %", lambda condition: estimate(condition.out_of_frame, 100)),
        ("references per 100 words", lambda condition: estimate(condition.per_100_words, form=".2f")),
    ]
    return condition_table(
        analysis, "Spread, beside entropy", columns, "Few references bias entropy downward: read it with these."
    )


def shares(analysis: Analysis, weighting: str = "reference") -> Table:
    """Shares by perspective."""

    def column(name: str) -> Column:
        return (
            plain(name),
            lambda condition: (
                estimate(condition.weightings[weighting].shares[name], 100) if condition.references else NONE
            ),
        )

    title = f"Shares by {weighting}, percent"
    return condition_table(analysis, title, [column(name) for name in analysis.frame], folded=weighting != "reference")


def corrected(analysis: Analysis) -> Table | None:
    """Shares as they would be if the extractor saw every perspective alike; None where they are not corrected."""
    if not any(condition.corrected for condition in analysis.conditions):
        return None

    def column(name: str) -> Column:
        return plain(
            name
        ), lambda condition: number(100 * condition.corrected[name], ".1f") if condition.corrected else NONE

    columns = [column(name) for name in analysis.frame]
    return condition_table(
        analysis, "Shares by reference, corrected by the extractor's confusion matrix, percent", columns
    )


def tone(analysis: Analysis) -> Table | None:
    """Sentiment; None where no tone was read."""
    if not any(condition.sentiment for condition in analysis.conditions):
        return None

    def mean(name: str) -> Column:
        return name, lambda condition: estimate(condition.sentiment[name], form=".2f") if condition.sentiment else NONE

    def label(name: str) -> Column:
        return (
            f"likeliest {name}, %",
            lambda condition: estimate(condition.labels[name], 100, ".0f") if condition.labels else NONE,
        )

    columns = [*(mean(name) for name in TONES), *(label(name) for name in TONES)]
    note = (
        "Mean probabilities over an answer's sentences. Likeliest: percent of answers whose largest probability this "
        "is, to stand beside the papers' figures. More positive is not better."
    )
    return condition_table(analysis, "Sentiment", columns, note)


def stance(analysis: Analysis) -> Table | None:
    """Positive minus negative in the sentences that refer to a perspective; None where no tone was read."""
    if not any(condition.stance for condition in analysis.conditions):
        return None

    def column(name: str) -> Column:
        def show(condition: Condition) -> str:
            of = condition.stance.get(name)
            values = [of[tone].value for tone in TONES] if of else []
            return " / ".join(number(value, ".2f") for value in values) if of else NONE

        return plain(name), show

    columns = [column(name) for name in analysis.frame]
    return condition_table(
        analysis, "Stance: positive / neutral / negative where a perspective is referred to", columns
    )


def cost(analysis: Analysis) -> Table:
    """What an answer and a point of entropy take."""
    columns: list[Column] = [
        ("words", lambda condition: estimate(condition.words, form=".0f")),
        ("calls", lambda condition: number(condition.calls.value, ".1f")),
        ("tokens in", lambda condition: number(condition.input_tokens.value, ",.0f")),
        ("tokens out", lambda condition: number(condition.output_tokens.value, ",.0f")),
        ("seconds", lambda condition: number(condition.seconds.value, ".1f")),
        ("tokens per point", lambda condition: number(condition.tokens_per_point, ",.0f")),
        ("seconds per point", lambda condition: number(condition.seconds_per_point, ".2f")),
        ("answers with tokens reported", lambda condition: f"{condition.tokens_reported:,} of {condition.measured:,}"),
    ]
    note = "Means of an answer. A point: one percentage point of the primary entropy."
    return condition_table(analysis, "Cost", columns, note)
