"""How well the extractor sees each perspective, and shares corrected for what it misses: `eval/reliability.yaml`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from multiplex.bench.analysis.model import ExtractorReliability
from multiplex.content import content_root, read_model
from multiplex.errors import ContentError
from multiplex.evaluation.statistics import diversity

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LABELLED = ("civilisations", "choice", "all")
"""The frames whose perspectives are those of the labelled texts; `choice` is some of them."""
_Cell = Annotated[FiniteFloat, Field(ge=0)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    cues: tuple[str, ...]
    found: tuple[str, ...]
    rows: Annotated[dict[str, tuple[_Cell, ...]], Field(min_length=2)]


class Confusions(BaseModel):
    """Labels against what was found, one table a choice of cues; `limit` is how far recalls may differ."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    texts: str
    limit: float
    tables: tuple[_Table, ...]

    @classmethod
    def load(cls, path: Path | None = None) -> Confusions:
        """The tables of a YAML file, by default the one that ships.

        Raises:
            ContentError: it is absent or wrong.
        """
        path = path if path is not None else content_root() / "eval" / "reliability.yaml"
        made = read_model(path, cls)
        for table in made.tables:
            for name, row in table.rows.items():
                if name not in table.found or len(row) != len(table.found) or not row[table.found.index(name)]:
                    raise ContentError(path, "a row holds a number for each of `found`, its own above 0", field=name)
        return made

    def reliability(self, frame: Sequence[str], cues: Sequence[str], *, frame_name: str) -> ExtractorReliability | None:
        """Precision and recall of the frame's perspectives; None where these cues, or fewer than two, were labelled.

        A perspective of another frame than `LABELLED` may bear the same name and hold something else: None too.
        """
        table = self._table(cues) if frame_name in LABELLED else None
        known = [name for name in frame if table is not None and name in table.rows]
        if table is None or len(known) < 2:
            return None
        columns = dict(zip(table.found, zip(*table.rows.values(), strict=True), strict=True))
        own = {name: table.rows[name][table.found.index(name)] for name in known}
        recall = {name: own[name] / sum(table.rows[name]) for name in known}
        ratio = max(recall.values()) / min(recall.values())
        corrects = ratio > self.limit
        return ExtractorReliability(
            texts=self.texts,
            n=round(sum(sum(row) for row in table.rows.values())),
            precision={name: own[name] / sum(columns[name]) for name in known},
            recall=recall,
            ratio=ratio,
            limit=self.limit,
            corrects=corrects,
            note=_note(recall, ratio, self.limit, [name for name in frame if name not in known]),
        )

    def corrected(
        self, counts: Mapping[str, float], cues: Sequence[str], *, frame_name: str
    ) -> dict[str, float] | None:
        """Shares of the frame, 0..1, as they would be if every reference had been seen and none mistaken.

        `counts` are references by perspective of the frame. Solves counts = truth @ P for truth >= 0 by least squares,
        P the chances that a text labelled k is found to be j. A perspective without labelled texts counts as seen as
        well as the others on average and never mistaken. None where the recalls agree within the limit, where nothing
        is known of these cues or this frame, or where there is no reference.
        """
        from scipy.optimize import nnls

        frame, table = tuple(counts), self._table(cues)
        known = self.reliability(frame, cues, frame_name=frame_name)
        if table is None or known is None or not known.corrects or not sum(counts.values()):
            return None
        truth, _ = nnls(_chances(frame, table, known).T, [float(value) for value in counts.values()])
        return diversity.shares(dict(zip(frame, (float(value) for value in truth), strict=True)))

    def _table(self, cues: Sequence[str]) -> _Table | None:
        return next((table for table in self.tables if set(table.cues) == set(cues)), None)


def _chances(frame: tuple[str, ...], table: _Table, known: ExtractorReliability) -> NDArray[np.float64]:
    """P, shape (K, K): the chance that a text of the row's perspective is found to be the column's."""
    import numpy as np

    chances = np.diag(np.full(len(frame), sum(known.recall.values()) / len(known.recall)))
    for place, name in enumerate(frame):
        if name in known.recall:
            row = dict(zip(table.found, table.rows[name], strict=True))
            chances[place] = [row.get(other, 0.0) / sum(row.values()) for other in frame]
    return chances


def _note(recall: Mapping[str, float], ratio: float, limit: float, unknown: Sequence[str]) -> str:
    best, worst = max(recall, key=recall.__getitem__), min(recall, key=recall.__getitem__)
    told = (
        f"The extractor's recall differs by a factor of {ratio:.2f} between the best seen perspective "
        f"({best}, {recall[best]:.2f}) and the worst ({worst}, {recall[worst]:.2f})"
    )
    then = (
        f", more than {limit:g}: corrected shares stand beside the raw ones"
        if ratio > limit
        else f", within {limit:g}: shares are not corrected"
    )
    return f"{told}{then}" + (f"; of {', '.join(unknown)} no text is labelled there." if unknown else ".")
