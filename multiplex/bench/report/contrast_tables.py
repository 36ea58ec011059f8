"""The tables of a report that are not a row an arm: contrasts, parts of the questions, voices, the papers' figures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from multiplex.bench.analysis.model import Analysis, Arm, Contrast, Group, Told
from multiplex.bench.analysis.published import Paper
from multiplex.bench.report.tables import NONE, Table, chance, estimate, number, plain
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
        "The primary figure, entropy by reference, mean0, fixed beforehand. Same questions; 95% intervals; p by "
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


def parted(analysis: Analysis, title: str, pick: Callable[[Arm], Iterable[Group]]) -> Table | None:
    """Entropy of the parts of every arm; None where nothing parts them."""
    groups = tuple(
        (
            model,
            tuple(
                (
                    arm.strategy,
                    group.name,
                    f"{group.questions:,}",
                    f"{group.references:,}",
                    estimate(group.mean0),
                    estimate(group.mean),
                    estimate(group.pooled),
                    ", ".join(f"{plain(name)} {value:.0%}" for name, value in group.shares.items())
                    if group.references
                    else NONE,
                )
                for arm in analysis.arms
                if arm.model == model
                for group in pick(arm)
            ),
        )
        for model in analysis.models
    )
    if not any(rows for _, rows in groups):
        return None
    head = ("strategy", "questions about", "n", "references", "mean0", "mean", "pooled", "shares by reference")
    return Table(title, head, groups, f"Brackets: 95% intervals over questions; {INTERVALS}", folded=True)


def councils(analysis: Analysis) -> Table | None:
    """What the syntheses kept; None where no strategy has voices."""
    arms = [arm for arm in analysis.arms if arm.council]
    if not arms:
        return None

    def rows(model: str) -> tuple[tuple[str, ...], ...]:
        return tuple(
            (
                arm.strategy,
                f"{of.answers:,}",
                estimate(of.coverage, 100, ".0f"),
                estimate(of.net, form=".2f"),
                estimate(of.evenness, form=".2f"),
                f"{estimate(of.copied, 100, '.0f')}{' *' if of.by_construction > 0.5 else ''}",
                estimate(of.homogeneity, form=".2f"),
                _told(of.voices_told),
                _told(of.parts_told),
            )
            for arm in arms
            if arm.model == model and (of := arm.council)
        )

    kind = arms[0].council.kind if arms[0].council else "overlap"
    head = ("strategy", "answers", f"{kind}, %", "net", "evenness", "copied, %", "homogeneity", "voices told apart",
            "parts told apart")  # fmt: skip
    note = (
        "How much of what each voice said stands in the synthesis, beyond what stands there without it (net). Told "
        "apart: with names masked, how many voices a classifier gives to their own perspective, of how many, and what "
        "chance gives. * Most syntheses copy their voices, so that overlap is near 100% by construction."
    )
    groups = tuple((model, rows(model)) for model in analysis.models)
    return Table("What a council's answer kept of its voices", head, groups, note)


def _told(of: Told | None) -> str:
    return f"{of.right:,} of {of.texts:,} (chance {of.chance:.0%})" if of else NONE


def shuffled(analysis: Analysis) -> Table | None:
    """Name against content; None where nothing was permuted."""
    if not analysis.shuffled:
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
                for each in analysis.shuffled
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
    return Table("Shuffled labels: name against content", head, groups, note)


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
                    *(_ours(analysis.arm(model, figure.strategy), figure.measure) for model in analysis.models),
                )
                for figure in paper.figures
            ),
        )
        for paper in papers
    )
    head = ("their figure", "theirs, %", "stated in", "our nearest", *(f"ours, %: {name}" for name in analysis.models))
    note = "Theirs and ours were not measured alike: the difference between them says nothing by itself."
    return Table("The papers' figures beside ours", head, groups, note)


def _ours(arm: Arm | None, measure: str) -> str:
    if arm is None or not arm.measured:
        return "not in this run"
    if measure == "entropy":
        of = arm.weightings["reference"]
        return f"mean0 {estimate(of.mean0)}; mean {estimate(of.mean)}; pooled {estimate(of.pooled)}"
    if not arm.labels or not arm.sentiment:
        return "no tone was read"
    return f"likeliest {estimate(arm.labels[measure], 100)}; mean {estimate(arm.sentiment[measure], 100)}"
