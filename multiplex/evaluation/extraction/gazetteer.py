"""Reads eval/gazetteers/: the names and concepts by which a perspective is recognised."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from multiplex.content import content_root, line_of, read_tree
from multiplex.errors import ContentError, first_invalid
from multiplex.evaluation.extraction.atlas import Place, places
from multiplex.evaluation.extraction.facets import AXES, NO_FACETS, OF_PERSPECTIVE, Facets, People, Region, Religion
from multiplex.evaluation.extraction.frame import Perspective
from multiplex.text.matching import Form, Match, Matcher
from multiplex.text.tokens import Token

Slot = Literal["people", "adjectives", "places", "homonyms", "traditions", "concept", "trap"]
_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
TRAPS = "none"  # the file of phrases that hold a known name and refer to no perspective
_Id = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
_NAMED_SLOTS: tuple[Slot, ...] = ("people", "adjectives", "places", "homonyms", "traditions")


@dataclass(frozen=True, slots=True)
class Entity:
    """One people, tradition, region or idea under all its names; a trap phrase has no facets."""

    id: str
    facets: Facets = NO_FACETS
    modern: bool = False
    source: str = ""


_NOTHING = Entity("none")
# What informal writing leaves without a capital: "spanish culture", "the nigerians"; but not to polish, nor a danish.
_INFORMAL = re.compile(r"(?!Polish|Danish)[A-Z][a-z]+(?:ian|ean|ican|ish|ese)s?")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _as_list(value: Any) -> Any:
    """One value as a list of one, `none` as an empty list."""
    return [] if value == "none" else [value] if isinstance(value, str) else value


class _Facets(_Part):
    """What an entry says of its facets; an axis that it leaves out is that of its file's perspective."""

    region: Annotated[tuple[Region, ...], BeforeValidator(_as_list)] = ()
    religion: Annotated[tuple[Religion, ...], BeforeValidator(_as_list)] = ()
    people: Annotated[tuple[People, ...], BeforeValidator(_as_list)] = ()

    @model_validator(mode="after")
    def _says_each_once(self) -> _Facets:
        for axis in AXES:
            values = getattr(self, axis)
            if len(set(values)) < len(values):
                raise ValueError(f"{axis} names a value twice")
        return self

    def over(self, default: Facets) -> Facets:
        """The facets of an entry in a file with these defaults."""
        return replace(default, **{axis: getattr(self, axis) for axis in AXES if axis in self.model_fields_set})


class _Named(_Part):
    id: _Id
    people: tuple[_Text, ...] = ()
    adjectives: tuple[_Text, ...] = ()
    places: tuple[_Text, ...] = ()
    homonyms: tuple[_Text, ...] = ()
    traditions: tuple[_Text, ...] = ()
    facets: _Facets = _Facets()
    ambiguous: tuple[_Text, ...] = ()

    @model_validator(mode="after")
    def _has_a_form(self) -> _Named:
        if not any(getattr(self, slot) for slot in _NAMED_SLOTS):
            raise ValueError(f"needs a form under one of {', '.join(_NAMED_SLOTS)}")
        _check_ambiguous(self.ambiguous, [form for slot in _NAMED_SLOTS for form in getattr(self, slot)])
        return self


def _join_sources(source: Any) -> Any:
    """The sources of an entry as one text; one that is no list of texts is left to validation."""
    if isinstance(source, list) and source and all(isinstance(each, str) and each.strip() for each in source):
        return "; ".join(source)
    return source


class _Concept(_Part):
    id: _Id
    forms: Annotated[tuple[_Text, ...], Field(min_length=1)]
    source: Annotated[_Text, BeforeValidator(_join_sources)]
    modern: bool
    facets: _Facets = _Facets()
    ambiguous: tuple[_Text, ...] = ()
    surnames: tuple[_Text, ...] = ()

    @model_validator(mode="after")
    def _ambiguous_are_forms(self) -> _Concept:
        _check_ambiguous(self.ambiguous, self.forms)
        for form in self.surnames:
            if form not in self.ambiguous:
                raise ValueError(f"surnames: {form!r} is not among the entry's ambiguous forms")
        return self


def _check_ambiguous(ambiguous: Iterable[str], forms: Iterable[str]) -> None:
    for form in ambiguous:
        if form not in forms:
            raise ValueError(f"ambiguous: {form!r} is not among the entry's forms")


class _File(_Part):
    perspective: Perspective
    named: tuple[_Named, ...] = ()
    concept: tuple[_Concept, ...] = ()


class _Traps(_Part):
    perspective: None
    none: tuple[_Text, ...]


@dataclass(frozen=True, slots=True)
class _Listed:
    """A surface form with the place it was read from, so that a clash can name both."""

    text: str
    slot: Slot
    entity: Entity
    path: Path
    line: int
    field: str
    ambiguous: bool = False
    surname: bool = False


class Gazetteer:
    """Every known name and concept, compiled to one longest-match matcher; it never changes once made."""

    def __init__(self, listed: list[_Listed], atlas: Iterable[Place] = ()) -> None:
        self.entities: dict[str, Entity] = {}
        self.names: set[str] = set()
        self.concepts: set[str] = set()
        origins: dict[str, _Listed] = {}
        ambiguous: set[tuple[str, tuple[str, ...]]] = set()
        surnames: set[tuple[str, tuple[str, ...]]] = set()
        forms: dict[str, Form[Slot, Entity]] = {}
        for item in listed:
            form = Form.of(item.text, item.slot, item.entity)
            if not form.words:
                raise ContentError(item.path, f"{item.text!r} holds no word", line=item.line, field=item.field)
            other = origins.setdefault(form.spelling, item)
            if other.entity is not item.entity:
                raise ContentError(
                    item.path,
                    f"{item.text!r} already stands for {other.entity.id!r} in {other.path.name}:{other.line}; "
                    "a form means one entity, whose `facets` say all that it is",
                    line=item.line,
                    field=item.field,
                )
            forms.setdefault(form.spelling, form)
            if item.ambiguous:
                ambiguous.add((item.entity.id, form.keys))
            if item.surname:
                surnames.add((item.entity.id, form.keys))
            if item.entity is not _NOTHING:
                self.entities[item.entity.id] = item.entity
                (self.concepts if item.slot == "concept" else self.names).add(item.entity.id)
        for form in list(forms.values()):
            if form.slot in ("people", "adjectives") and _INFORMAL.fullmatch(form.spelling):
                slot: Slot = form.slot
                lower = Form.of(form.spelling.lower(), slot, form.entity)
                forms.setdefault(lower.spelling, lower)
        taken = {form.keys for form in forms.values()}
        for place in atlas:
            slot = "homonyms" if place.homonym else "places"
            form = Form.of(place.name, slot, Entity(place.id, place.facets))
            if form.keys not in taken:  # what a scholar wrote in a gazetteer goes before the atlas
                forms.setdefault(form.spelling, form)
                self.entities.setdefault(place.id, form.entity)
                self.names.add(place.id)
        self._matcher = Matcher(forms.values())
        self.ambiguous = frozenset(ambiguous)
        """(entity, keys of its form's words) for the forms that need the support of their sentence (see `senses`)."""
        self.surnames = frozenset(surnames)
        """Those of them that with a capital are persons' names: Li, Han."""

    @classmethod
    def load(cls, folder: Path | None = None) -> Gazetteer:
        """The gazetteer of a folder of YAML files; by default the one that ships, eval/gazetteers/, with the atlas.

        Raises:
            ContentError: there is no file, one is not of the schema (file, line and field are
                named), an id is used twice, or a surface form stands for two entities.
        """
        atlas = places() if folder is None else ()
        folder = folder if folder is not None else content_root() / "eval" / "gazetteers"
        paths = sorted(folder.glob("*.yaml"))
        if not paths:
            raise ContentError(folder, "holds no *.yaml file; a gazetteer folder has one file a perspective")
        seen: dict[str, _Listed] = {}
        listed = []
        for path in paths:
            for item in _read(path):
                first = seen.setdefault(item.entity.id, item)
                if first.entity is not item.entity:
                    raise ContentError(
                        item.path,
                        f"id {item.entity.id!r} is already used in {first.path.name}:{first.line}; "
                        "an entity has one entry, whose `facets` say all that it is",
                        line=item.line,
                        field=item.field,
                    )
                listed.append(item)
        return cls(listed, atlas)

    def match(self, text: str, words: list[Token] | None = None) -> list[Match[Slot, Entity]]:
        """The forms in a sentence, in order, without overlap; the longest wins. Traps are among them."""
        return self._matcher.match(text, words)

    def ids_in(self, text: str) -> frozenset[str]:
        """The ids of the entities that a text names in any way."""
        return frozenset(match.form.entity.id for match in self.match(text) if match.form.slot != "trap")


def _read(path: Path) -> Iterator[_Listed]:
    data, tree = read_tree(path)
    try:
        content = (_Traps if path.stem == TRAPS else _File).model_validate(data)
    except ValidationError as error:
        wrong = first_invalid(error)
        raise ContentError(path, wrong.problem, line=line_of(tree, wrong.place), field=wrong.field) from error
    if isinstance(content, _Traps):
        for row, phrase in enumerate(content.none):
            yield _Listed(phrase, "trap", _NOTHING, path, line_of(tree, ("none", row)), f"none.{row}")
        return
    if content.perspective != path.stem:
        line = line_of(tree, ("perspective",))
        raise ContentError(path, f"{content.perspective!r} is not the file's name", line=line, field="perspective")
    default = OF_PERSPECTIVE[content.perspective]
    for row, named in enumerate(content.named):
        entity = Entity(named.id, named.facets.over(default))
        for slot in _NAMED_SLOTS:
            for index, text in enumerate(getattr(named, slot)):
                line = line_of(tree, ("named", row, slot, index))
                field = f"named.{row}.{slot}.{index}"
                yield _Listed(text, slot, entity, path, line, field, text in named.ambiguous)
    for row, concept in enumerate(content.concept):
        idea = Entity(concept.id, concept.facets.over(default), concept.modern, concept.source)
        for index, text in enumerate(concept.forms):
            line = line_of(tree, ("concept", row, "forms", index))
            field = f"concept.{row}.forms.{index}"
            doubts = text in concept.ambiguous, text in concept.surnames
            yield _Listed(text, "concept", idea, path, line, field, *doubts)


@cache
def shipped_gazetteer() -> Gazetteer:
    """The gazetteer that ships; it never changes, so one copy serves every thread."""
    return Gazetteer.load()
