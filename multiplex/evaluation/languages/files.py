"""Reads eval/languages/: how each language writes the names and concepts of the English gazetteers."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from multiplex.content import content_root, line_of, read_tree
from multiplex.errors import ContentError, first_invalid

MEASURABLE = ("names", "concepts", "tone")
"""What a language's file says of itself: whether it is measured, or why not."""

_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
_Readable = Literal[True] | _Text


class Readable(BaseModel):
    """Whether each thing is measured in a language: true, or the reason why not."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    names: _Readable
    concepts: _Readable
    tone: _Readable

    def why_not(self) -> dict[str, str]:
        """What is not measured, with the reason."""
        return {name: reason for name in MEASURABLE if (reason := getattr(self, name)) is not True}


class LanguageFile(BaseModel):
    """One language as a scholar writes it; eval/languages/README.md explains each field."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")]
    name: _Text
    written: Literal["spaces", "characters"]
    read: Readable
    prefixes: dict[_Text, str] = {}
    suffixes: dict[_Text, str] = {}
    endings: dict[_Text, tuple[str, ...]] = {}
    labels: tuple[_Text, ...] = ()
    streets: tuple[_Text, ...] = ()
    ambiguous: tuple[_Text, ...] = ()
    traps: tuple[_Text, ...] = ()
    names: dict[str, Annotated[tuple[_Text, ...], Field(min_length=1)]]
    concepts: dict[str, Annotated[tuple[_Text, ...], Field(min_length=1)]]


def languages_folder() -> Path:
    """The folder of the languages that ship, eval/languages/."""
    return content_root() / "eval" / "languages"


def known_languages() -> dict[str, Path]:
    """The files that ship, by ISO 639 code."""
    return {path.stem: path for path in sorted(languages_folder().glob("*.yaml"))}


def read_language(path: Path, names: Container[str], concepts: Container[str]) -> LanguageFile:
    """The file of one language, checked against the ids that the gazetteers hold.

    Raises:
        ContentError: it is absent or not of the schema, an id is unknown, or a form stands for two entities;
            file, line and field are named.
    """
    data, tree = read_tree(path)
    try:
        content = LanguageFile.model_validate(data)
    except ValidationError as error:
        place, problem = first_invalid(error)
        place = tuple(part for part in place if part not in ("[key]", "constrained-str", "literal[True]"))
        raise ContentError(path, problem, line=line_of(tree, place), field=".".join(map(str, place))) from error
    if content.language != path.stem:
        line = line_of(tree, ("language",))
        raise ContentError(path, f"{content.language!r} is not the file's name", line=line, field="language")
    _check_ids(path, tree, "names", content.names, names)
    _check_ids(path, tree, "concepts", content.concepts, concepts)
    _check_forms(path, tree, content)
    return content


def _check_ids(path: Path, tree: Any, part: str, entries: dict[str, tuple[str, ...]], known: Container[str]) -> None:
    for name in entries:
        if name not in known:
            kind = "a people, place or tradition" if part == "names" else "a concept"
            problem = f"{name!r} is no id of {kind} in eval/gazetteers/"
            raise ContentError(path, problem, line=line_of(tree, (part, name)), field=f"{part}.{name}")


def _check_forms(path: Path, tree: Any, content: LanguageFile) -> None:
    seen: dict[str, tuple[str, str]] = {}
    for part in ("names", "concepts"):
        for name, forms in getattr(content, part).items():
            for index, form in enumerate(forms):
                other = seen.setdefault(form, (part, name))
                if other != (part, name):
                    problem = f"{form!r} already stands under {'.'.join(other)}; a form means one entity"
                    line = line_of(tree, (part, name, index))
                    raise ContentError(path, problem, line=line, field=f"{part}.{name}.{index}")
