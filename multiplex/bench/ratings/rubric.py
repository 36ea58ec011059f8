"""The rubric by which people and models rate answers: `eval/rubric.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict

from multiplex.content import content_root, read_model, sha256
from multiplex.errors import ContentError

Point = Literal["rep", "depth", "diff", "true", "read", "use"]
POINTS: tuple[Point, ...] = get_args(Point)
LEAST, MOST = 1, 7


class PointText(BaseModel):
    """What one point asks, and what marks mean.

    Attributes:
        name: in one to five words.
        asks: the question that a rater answers.
        low, high: the ends of the scale, in a few words.
        one, four, seven: what these marks mean.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    asks: str
    low: str
    high: str
    one: str
    four: str
    seven: str


class Rubric(BaseModel):
    """How answers are rated: what to do, the six points in the order of reading, and what a false claim is."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    intro: str
    points: dict[Point, PointText]
    false_claims: str

    @classmethod
    def load(cls, path: Path | None = None) -> Rubric:
        """The rubric of a YAML file, by default the one that ships.

        Raises:
            ContentError: it is absent or wrong, or lacks a point.
        """
        path = path if path is not None else content_root() / "eval" / "rubric.yaml"
        rubric = read_model(path, cls)
        for name in POINTS:
            if name not in rubric.points:
                raise ContentError(path, f"the point is missing; there are {', '.join(POINTS)}", field=name)
        return rubric

    @property
    def digest(self) -> str:
        """SHA-256 of what a rater reads: marks under another rubric are other marks."""
        return sha256(as_markdown(self))


def as_markdown(rubric: Rubric) -> str:
    """The rubric as a page of Markdown."""
    parts = ["# How to rate", rubric.intro]
    for name in POINTS:
        of = rubric.points[name]
        parts += [f"## {of.name} (`{name}`)", of.asks, f"- **1**: {of.one}\n- **4**: {of.four}\n- **7**: {of.seven}"]
    return "\n\n".join([*parts, "## False claims", rubric.false_claims]) + "\n"
