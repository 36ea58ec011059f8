"""The same answers under several frames, side by side, and what of the outcome depends on the frame."""

from __future__ import annotations

from collections.abc import Sequence

from multiplex.bench.analysis.model import Analysis
from multiplex.bench.report.tables import Table, estimate
from multiplex.present.frames import FrameFigure, dependence
from multiplex.present.numbers import NONE

HOLDS = {True: "holds", False: "does not hold", None: "is left open"}


def by_frame(analysis: Analysis, beside: Sequence[Analysis]) -> Table | None:
    """A row a frame, a column a strategy: macro average with its interval, and the references; None for one frame."""
    if not beside:
        return None
    groups = []
    for model in analysis.models:
        rows = []
        for each in (analysis, *beside):
            conditions = [each.condition(model, strategy) for strategy in analysis.strategies]
            cells = (
                f"{estimate(condition.primary)} ({condition.references:,})" if condition is not None else NONE
                for condition in conditions
            )
            rows.append((f"{each.frame_name} ({len(each.frame)})", *cells))
        groups.append((model, tuple(rows)))
    return Table(
        "Entropy under each frame",
        ("frame (perspectives)", *analysis.strategies),
        tuple(groups),
        note="macro0, in percent of each frame's own maximum, by reference; in brackets the number of references. An "
        "entropy over seven perspectives and one over nine are not on one scale: compare strategies inside a row.",
    )


def depends(analysis: Analysis, beside: Sequence[Analysis]) -> tuple[str, ...]:
    """What comes out otherwise under another frame, in words; one line that says so where nothing does."""
    if not beside:
        return ()
    lines = []
    every = (analysis, *beside)
    for model in analysis.models:
        holds = {each.frame_name: claim.holds for each in every for claim in each.claims if claim.model == model}
        if len(set(holds.values())) > 1:
            said = "; ".join(f"under {name} it {HOLDS[value]}" for name, value in holds.items())
            lines.append(f"{model}: whether multiplex beats every control depends on the frame: {said}.")
        figures = {
            each.frame_name: {
                condition.strategy: FrameFigure(condition.references, condition.primary.value)
                for condition in each.conditions
                if condition.model == model
            }
            for each in every
        }
        lines += [f"{model}: {line}" for line in dependence(figures)]
    names = ", ".join(each.frame_name for each in every)
    return tuple(lines) or (f"No order of strategies and no claim comes out otherwise under {names}.",)
