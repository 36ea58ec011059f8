"""The figures that the papers report (`eval/published.yaml`), with what is unknown about how they were made."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

from multiplex.content import content_root, read_model

Measure = Literal["entropy", "positive", "neutral", "negative"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PublishedFigure(_Frozen):
    """One figure of a paper, in percent.

    Attributes:
        strategy: of ours that comes nearest; `theirs` is what the paper calls it.
        where: the part of the paper that states it.
    """

    measure: Measure
    strategy: Literal["uniplex", "contextual", "multiplex"]
    theirs: str
    value: Annotated[float, Field(ge=0, le=100)]
    where: str


class Paper(_Frozen):
    """A paper, its figures, and what one would have to know before comparing them with ours."""

    id: str
    paper: str
    authors: str
    source: str
    arxiv: str
    url: str
    figures: tuple[PublishedFigure, ...]
    known: tuple[str, ...]
    unknown: Annotated[tuple[str, ...], Field(min_length=1)]

    @property
    def short(self) -> str:
        """How a table names it: the title up to its colon, and the arXiv number."""
        return f"{self.paper.split(':')[0]} (arXiv {self.arxiv})"


class _Papers(RootModel[tuple[Paper, ...]]):
    pass


def load(path: Path | None = None) -> tuple[Paper, ...]:
    """The papers of a YAML file, by default the one that ships.

    Raises:
        ContentError: it is absent or wrong; line and field are named.
    """
    return read_model(path if path is not None else content_root() / "eval" / "published.yaml", _Papers).root
