"""Reads eval/frames/: how facets become the perspectives that a measurement counts over, one home for each entity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from multiplex.content import content_root, line_of, read_tree
from multiplex.errors import ContentError, UsageError, first_invalid
from multiplex.evaluation.extraction.facets import AXES, Axis, Facets, People, Region, Religion
from multiplex.evaluation.extraction.frame import FRAME, KNOWN, checked_frame

OUTSIDE = "outside"  # the home of what a frame has no name for
DEFAULT = "civilisations"
_Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Homes(_Part):
    """What is at home in one perspective: facets, and entities by their gazetteer ids whatever their facets are.

    `without` names religions whose entities the perspective does not take by their region.
    """

    region: tuple[Region, ...] = ()
    religion: tuple[Religion, ...] = ()
    people: tuple[People, ...] = ()
    entities: tuple[_Name, ...] = ()
    without: tuple[Religion, ...] = ()

    def claims(self) -> Iterator[tuple[str, str, int]]:
        """Each (axis or "entities", value, place in its list)."""
        for axis in (*AXES, "entities"):
            for place, value in enumerate(getattr(self, axis)):
                yield axis, value, place


class Frame(_Part):
    """The perspectives counted over, and the rule that gives every entity one home among them.

    Attributes:
        precedence: the axes in the order in which they decide.
        perspectives: what is counted, in the order of the tables; at least two.
        outside: what is recorded under its name and not counted.
        shared: religions of many regions: an idea or a believer takes the region named in the sentence.
    """

    name: _Name
    about: _Text
    precedence: Annotated[tuple[Axis, ...], Field(min_length=1)]
    perspectives: Annotated[dict[_Name, Homes], Field(min_length=2)]
    outside: dict[_Name, Homes] = {}
    shared: tuple[Religion, ...] = ()

    @model_validator(mode="after")
    def _one_home_each(self) -> Frame:
        if problem := next(_problems(self), None):
            raise ValueError(problem[0])
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The perspectives that are counted."""
        return tuple(self.perspectives)

    @cached_property
    def _table(self) -> Mapping[tuple[str, str], str]:
        return {
            (axis, value): name
            for name, homes in (*self.perspectives.items(), *self.outside.items())
            for axis, value, _ in homes.claims()
        }

    def home(self, entity: str, facets: Facets, beside: Sequence[str] = ()) -> str:
        """The one perspective that an entity belongs to, of those counted or outside, else `OUTSIDE`.

        `beside` are the regions that its sentence names, the nearest first: an entity of several regions belongs to the
        one that is named, and one of a shared religion to any that is.
        """
        if (own := self._table.get(("entities", entity))) is not None:
            return own
        for axis in self.precedence:
            for value in self._candidates(axis, facets, beside):
                name = self._table.get(value)
                if name is not None and (value[0] != "region" or not self._refuses(name, facets)):
                    return name
        return OUTSIDE

    def _candidates(self, axis: Axis, facets: Facets, beside: Sequence[str]) -> Iterator[tuple[str, str]]:
        values: tuple[str, ...] = getattr(facets, axis)
        if axis == "region":
            values = (*(region for region in beside if region in values), *values)
        elif axis == "religion" and not facets.region and any(value in self.shared for value in values):
            yield from (("region", region) for region in beside)
        yield from ((axis, value) for value in values)

    def _refuses(self, name: str, facets: Facets) -> bool:
        homes = self.perspectives.get(name) or self.outside[name]
        return bool(facets.religion) and set(facets.religion) <= set(homes.without)


def _problems(frame: Frame) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    """What is wrong in a frame that has the right form, with the place in its file."""
    for axis in frame.precedence:
        if frame.precedence.count(axis) > 1:
            yield f"{axis!r} stands twice; an axis decides once", ("precedence",)
    first: dict[tuple[str, str], tuple[str, int]] = {}
    for part in ("perspectives", "outside"):
        for name, homes in getattr(frame, part).items():
            if name == OUTSIDE or (part == "outside" and name in frame.perspectives):
                yield f"{name!r} cannot be named here", (part, name)
            if not any(homes.claims()):
                yield f"{name!r} holds no entity; name a facet or an entity", (part, name)
            for axis, value, place in homes.claims():
                if (other := first.setdefault((axis, value), (name, place))) != (name, place):
                    where = (part, name, axis, place)
                    yield f"{value!r} is already at home in {other[0]!r}; an entity has one home", where


@cache
def shipped_frames() -> Mapping[str, Path]:
    """The frames of eval/frames/ by name."""
    return {path.stem: path for path in sorted((content_root() / "eval" / "frames").glob("*.yaml"))}


@cache
def default_frame() -> Frame:
    """The frame `civilisations`: the seven perspectives of WorldView-Bench."""
    return read_frame(shipped_frames()[DEFAULT])


def load_frame(chosen: str | Frame | None = None) -> Frame:
    """A frame by its name, by the path of a file, or as perspectives of the default with commas; the default for None.

    Raises:
        UsageError: there is no such frame or perspective.
        ContentError: the file is not of the form; file, line and field are named.
    """
    if chosen is None:
        return default_frame()
    if isinstance(chosen, Frame):
        return chosen
    if chosen in shipped_frames():
        return read_frame(shipped_frames()[chosen])
    path = Path(chosen)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        return _own(path)
    names = [name.strip() for name in chosen.split(",")]
    if len(names) > 1 or names[0] in KNOWN:
        return _choice(checked_frame(names))
    raise UsageError(
        f"frame: there is no frame {chosen!r}; name one of {', '.join(shipped_frames())}, a file of your own (*.yaml), "
        f"or at least two perspectives of {', '.join(KNOWN)}"
    )


def load_frames(chosen: str | Frame | Sequence[str | Frame] | None = None) -> tuple[Frame, ...]:
    """One frame or several: names and paths, with commas too, frames, or a choice of perspectives.

    Raises:
        UsageError: there is no such frame or perspective, or a frame stands twice.
        ContentError: a file is not of the form.
    """
    parts = (chosen,) if chosen is None or isinstance(chosen, str | Frame) else tuple(chosen)
    if any(isinstance(part, str) and part in KNOWN for part in parts):
        return (_choice(checked_frame([str(part) for part in parts])),)
    frames = [load_frame(part) for part in parts]
    for frame in frames:
        if [other.name for other in frames].count(frame.name) > 1:
            raise UsageError(f"frame: {frame.name!r} is named twice; name it once")
    return tuple(frames)


def _choice(names: tuple[str, ...]) -> Frame:
    """The default frame with only these of its perspectives counted; the others are outside."""
    whole = default_frame()
    if names == FRAME:
        return whole
    homes = {**whole.perspectives, **whole.outside}
    return Frame(
        name="choice",
        about=f"Of the frame {whole.name} the perspectives {', '.join(names)}.",
        precedence=whole.precedence,
        perspectives={name: homes[name] for name in names},
        outside={name: of for name, of in homes.items() if name not in names},
        shared=whole.shared,
    )


def _own(path: Path) -> Frame:
    """A user's frame, held against the gazetteer: each entity it names is there, each perspective has one."""
    from multiplex.evaluation.extraction.gazetteer import shipped_gazetteer

    if not path.is_file():
        raise UsageError(f"frame: {path}: no such file")
    frame, (_, tree) = read_frame(path), read_tree(path)
    entities = shipped_gazetteer().entities
    for part in ("perspectives", "outside"):
        for name, homes in getattr(frame, part).items():
            for place, entity in enumerate(homes.entities):
                if entity not in entities:
                    where: tuple[str | int, ...] = (part, name, "entities", place)
                    raise ContentError(
                        path, f"no gazetteer has an entity {entity!r}", line=line_of(tree, where), field=_dotted(where)
                    )
    reached = {frame.home(name, entity.facets) for name, entity in entities.items()}
    for name in frame.names:
        if name not in reached:
            raise ContentError(
                path,
                f"no entity is at home in {name!r}; each of its facets is decided by another perspective",
                line=line_of(tree, ("perspectives", name)),
                field=f"perspectives.{name}",
            )
    return frame


def read_frame(path: Path) -> Frame:
    """A frame file.

    Raises:
        ContentError: it is absent or not of the form: an unknown facet, an entity or facet with two homes, a
            perspective that holds nothing; file, line and field are named.
    """
    data, tree = read_tree(path)
    try:
        return Frame.model_validate(data)
    except ValidationError as error:
        place, says = first_invalid(error)
        says = says.removeprefix("Value error, ")
        if not place and isinstance(data, dict):
            says, place = _found(data)
        raise ContentError(path, says, line=line_of(tree, place), field=_dotted(place)) from error


def _found(data: dict[str, Any]) -> tuple[str, tuple[str | int, ...]]:
    """The first problem of a frame whose parts are valid, with its place."""
    parts = {part: {name: Homes.model_validate(of) for name, of in (data.get(part) or {}).items()} for part in
             ("perspectives", "outside")}  # fmt: skip
    return next(_problems(Frame.model_construct(**{**data, "outside": {}, **parts})))


def _dotted(place: tuple[str | int, ...]) -> str:
    return ".".join(str(part) for part in place)
