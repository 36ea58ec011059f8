"""Tables whose rows are not conditions: contrasts, groups of questions, voices, papers' figures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from multiplex.bench.analysis.model import Analysis, AttributionAccuracy, Condition, Contrast, Group
from multiplex.bench.analysis.published import Paper
from multiplex.bench.report.tables import Table, chance, estimate, plain
from multiplex.present.numbers import NONE, number
from multiplex.present.summary import INTERVALS


def contrasts(analysis: Analysis, *, primary: bool) -> Table:
    """Multiplex minus every other strategy: the primary figure, or every other reading."""
    groups = tuple(
        (
            model,
            tuple(
                _contrast(each, primary=primary)
                for each in analysis.contrasts
                if each.model == model and each.primary == primary
            ),
        )
        for model in analysis.models
    )
    head = ["multiplex minus", "difference, points", "p", "questions"]
    if not primary:
        head[1:1] = ["figure"]
        head.append("without an entropy")
    title = (
        "Multiplex minus every other strategy" if primary else "The same in every reading and weighting (exploratory)"
    )
    note = (
        "The primary figure, entropy by reference, macro0, fixed beforehand. Same questions; 95% intervals; p by "
        "swapping answers within a question."
        if primary
        else "None of these was fixed beforehand and none is corrected for their number."
    )
    return Table(title, tuple(head), groups, note, folded=not primary)


def _contrast(of: Contrast, *, primary: bool) -> tuple[str, ...]:
    row = [of.strategy, estimate(of.difference, form="+.1f"), chance(of.p), f"{of.questions:,}"]
    if not primary:
        row[1:1] = [f"by {of.weighting}, {of.reading}" if of.weighting != "unprompted" else f"unprompted, {of.reading}"]
        row.append(f"{of.dropped:,}")
    return tuple(row)


def left_out(analysis: Analysis) -> Table | None:
    """The primary contrasts without each domain; None where there is one domain."""
    if not analysis.left_out:
        return None
    groups = tuple(
        (
            model,
            tuple(
                (
                    each.strategy,
                    each.domain,
                    estimate(each.difference, form="+.1f"),
                    chance(each.p),
                    "yes" if each.flips else "no",
                )
                for each in analysis.left_out
                if each.model == model
            ),
        )
        for model in analysis.models
    )
    head = ("multiplex minus", "without", "difference, points", "p", "comes out otherwise")
    return Table(
        "One domain left out at a time", head, groups, "A sensitivity check of the primary figure.", folded=True
    )


def parted(analysis: Analysis, title: str, pick: Callable[[Condition], Iterable[Group]]) -> Table | None:
    """Entropy of the parts of every condition; None where nothing parts them."""
    groups = tuple(
        (
            model,
            tuple(
                (
                    condition.strategy,
                    group.name,
                    f"{group.questions:,}",
                    f"{group.references:,}",
                    estimate(group.macro0),
                    estimate(group.macro),
                    estimate(group.micro),
                    ", ".join(f"{plain(name)} {value:.0%}" for name, value in group.shares.items())
                    if group.references
                    else NONE,
                )
                for condition in analysis.conditions
                if condition.model == model
                for group in pick(condition)
            ),
        )
        for model in analysis.models
    )
    if not any(rows for _, rows in groups):
        return None
    head = ("strategy", "questions about", "n", "references", "macro0", "macro", "micro", "shares by reference")
    return Table(title, head, groups, f"Brackets: 95% intervals over questions; {INTERVALS}", folded=True)


def councils(analysis: Analysis) -> Table | None:
    """What the syntheses kept; None where no strategy has voices."""
    conditions = [condition for condition in analysis.conditions if condition.council]
    if not conditions:
        return None

    def rows(model: str) -> tuple[tuple[str, ...], ...]:
        return tuple(
            (
                condition.strategy,
                f"{of.answers:,}",
                estimate(of.coverage, 100, ".0f"),
                estimate(of.net, form=".2f"),
                estimate(of.evenness, form=".2f"),
                f"{estimate(of.extractiveness, 100, '.0f')}{' *' if of.by_construction > 0.5 else ''}",
                estimate(of.homogeneity, form=".2f"),
                _accuracy(of.voice_attribution),
                _accuracy(of.part_attribution),
            )
            for condition in conditions
            if condition.model == model and (of := condition.council)
        )

    kind = conditions[0].council.kind if conditions[0].council else "overlap"
    head = ("strategy", "answers", f"{kind}, %", "net", "evenness", "extractiveness, %", "homogeneity",
            "voices attributed", "parts attributed")  # fmt: skip
    note = (
        "How much of what each voice said stands in the synthesis, beyond what stands there without it (net). "
        "Attributed: with names masked, how many voices a classifier gives to their own perspective, of how many "
        "(attribution accuracy), and what chance gives. Extractiveness: the share of claims that stand there nearly "
        "word for word. * Most syntheses copy their voices, so that overlap is near 100% by construction."
    )
    groups = tuple((model, rows(model)) for model in analysis.models)
    return Table("What a council's answer kept of its voices", head, groups, note)


def _accuracy(of: AttributionAccuracy | None) -> str:
    return f"{of.right:,} of {of.texts:,} (chance {of.chance:.0%})" if of else NONE


def label_permutations(analysis: Analysis) -> Table | None:
    """Name against content; None where nothing was permuted."""
    if not analysis.label_permutations:
        return None
    groups = tuple(
        (
            model,
            tuple(
                (
                    each.what,
                    f"{each.voices:,}",
                    number(each.observed, ".1%"),
                    number(each.expected, ".1%"),
                    chance(each.p),
                )
                for each in analysis.label_permutations
                if each.model == model
            ),
        )
        for model in analysis.models
    )
    head = ("figure", "voices", "with their names", "with names permuted", "p")
    note = (
        "Whether what a multiplex voice says goes with its name. Own references: of a voice's references, the part "
        "that goes to its own perspective."
    )
    return Table("Label permutation: name against content", head, groups, note)


def reliability(analysis: Analysis) -> Table | None:
    """The extractor on labelled text; None for a frame that was not validated."""
    of = analysis.reliability
    if of is None:
        return None
    rows = tuple(
        (plain(name), number(of.precision.get(name), ".3f"), number(of.recall.get(name), ".3f"))
        for name in analysis.frame
    )
    head = ("perspective", "precision", "recall")
    return Table(
        "How well the extractor sees each perspective",
        head,
        (("", rows),),
        f"{of.note} Measured on: {of.texts} (n = {of.n:,}).",
    )


def beside(analysis: Analysis, papers: Sequence[Paper]) -> Table:
    """The papers' figures, and ours of the strategy and measure that come nearest; a group a paper."""
    groups = tuple(
        (
            paper.short,
            tuple(
                (
                    f"{figure.measure}, {figure.theirs}",
                    f"{figure.value:g}",
                    figure.where,
                    figure.strategy,
                    *(_ours(analysis.condition(model, figure.strategy), figure.measure) for model in analysis.models),
                )
                for figure in paper.figures
            ),
        )
        for paper in papers
    )
    head = ("their figure", "theirs, %", "stated in", "our nearest", *(f"ours, %: {name}" for name in analysis.models))
    note = "Theirs and ours were not measured alike: the difference between them says nothing by itself."
    return Table("The papers' figures beside ours", head, groups, note)


def _ours(condition: Condition | None, measure: str) -> str:
    if condition is None or not condition.measured:
        return "not in this run"
    if measure == "entropy":
        of = condition.weightings["reference"]
        return f"macro0 {estimate(of.macro0)}; macro {estimate(of.macro)}; micro {estimate(of.micro)}"
    if not condition.labels or not condition.sentiment:
        return "no tone was read"
    return f"likeliest {estimate(condition.labels[measure], 100)}; mean {estimate(condition.sentiment[measure], 100)}"
