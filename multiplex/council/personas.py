"""Personas: who speaks, from which perspective, on which sources; and the council they form together."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import Field

from multiplex.content import content_root, file_version, prompt, read_model, read_text, sha256
from multiplex.council.harms import FILE as HARMS_FILE
from multiplex.council.harms import load_harms
from multiplex.council.positions import (
    FOLDER,
    TOPICS_FILE,
    Name,
    Part,
    Position,
    Source,
    Sourcebook,
    Text,
    read_sourcebook,
)
from multiplex.errors import ContentError, UsageError
from multiplex.text.marks import as_data


class Reasoning(Part):
    """How this worldview reasons, subject by subject."""

    knowledge: Text
    person: Text
    family: Text
    nature: Text
    sacred: Text
    law: Text
    time: Text


class Idea(Part):
    """A core idea and where it can be read."""

    name: Text
    says: Text
    source: Source


class Schools(Part):
    """Schools inside the tradition that disagree, and on what."""

    between: Annotated[tuple[Text, ...], Field(min_length=2)]
    over: Text
    source: Source


class Word(Part):
    """A word the tradition uses."""

    word: Text
    means: Text


class Dissent(Part):
    """A modern, secular, feminist or dissenting thinker inside the tradition."""

    name: Text
    argues: Text
    source: Source


class HarmEntry(Part):
    """Who inside the tradition contests a harm of agents/harms.yaml, what they say, and where it can be read."""

    harm: Name
    by: Text
    argues: Text
    source: Source


class Contested(Part):
    """A practice that a persona lists for itself: what a text would call it, and who contests it inside."""

    practice: Text
    terms: Annotated[tuple[Text, ...], Field(min_length=1)]
    by: Text


class Persona(Part):
    """One file of agents/: an editorial construction of a voice from one perspective, with its sources.

    Attributes:
        brief: read by nothing; files of version 0.1.0 have it.
        harms: for harms of agents/harms.yaml, who inside the tradition contests them.
        nothing_on_record: ids of harms for which this file has no sure source.
        contested: practices of its own, outside that list (the form of version 0.1.0).
        sourcebook: its positions, from `positions/NAME.yaml` beside its file; None where there is no such file.
    """

    name: Name
    perspective: Name
    title: Text
    speaker: Text
    brief: Text = "-"
    reasoning: Reasoning
    ideas: Annotated[tuple[Idea, ...], Field(min_length=3)]
    schools: Annotated[tuple[Schools, ...], Field(min_length=2)]
    words: Annotated[tuple[Word, ...], Field(min_length=3)]
    avoid: Annotated[tuple[Text, ...], Field(min_length=1)]
    dissent: Annotated[tuple[Dissent, ...], Field(min_length=1)]
    harms: tuple[HarmEntry, ...] = ()
    nothing_on_record: tuple[Name, ...] = ()
    contested: tuple[Contested, ...] = ()
    speaks_for: Annotated[tuple[Text, ...], Field(min_length=1)]
    does_not_speak_for: tuple[Text, ...]
    licence: Text
    authors: Annotated[tuple[Text, ...], Field(min_length=1)]
    version: Text
    reviewed_by_members: bool
    sourcebook: Sourcebook | None = None

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 of the persona's content, whatever the layout of its file."""
        return sha256(self.model_dump_json())

    @cached_property
    def system_prompt(self) -> str:
        """The fixed part of every prompt to this persona's model.

        Ideas, schools, dissent and words stand in it only where there is no sourcebook; positions of a sourcebook come
        with the question that they are near to.
        """
        told = prompt(
            "persona",
            speaker=self.speaker,
            reasoning="\n".join(f"- {subject}: {text}" for subject, text in self.reasoning),
            sources="" if self.sourcebook else self._sources,
            avoid="\n".join(f"- {text}" for text in self.avoid),
            speaks_for="; ".join(self.speaks_for),
            does_not_speak_for="; ".join(self.does_not_speak_for),
        )
        return as_data(told)

    @property
    def _sources(self) -> str:
        return (
            "\n"
            + prompt(
                "persona_sources",
                ideas="\n".join(f"- {idea.name}: {idea.says} [{idea.source}]" for idea in self.ideas),
                schools="\n".join(f"- {' and '.join(s.between)}: {s.over} [{s.source}]" for s in self.schools),
                dissent="\n".join(f"- {voice.name}: {voice.argues} [{voice.source}]" for voice in self.dissent),
                words="\n".join(f"- {word.word}: {word.means}" for word in self.words),
            )
            + "\n"
        )

    @property
    def turn_prompt(self) -> str:
        """The template of what this persona is asked in the first round."""
        return "voice"

    def position(self, name: str) -> Position:
        """A position of its sourcebook by its id.

        Raises:
            KeyError: there is none.
        """
        if self.sourcebook is None or name not in self.sourcebook.by_id:
            raise KeyError(name)
        return self.sourcebook.by_id[name]


@dataclass(frozen=True)
class Council:
    """The personas that answer together, in the order in which they are shown."""

    personas: tuple[Persona, ...]

    def __post_init__(self) -> None:
        names = [persona.name for persona in self.personas]
        perspectives = [persona.perspective for persona in self.personas]
        if not names:
            raise UsageError("the council is empty; name at least one persona")
        for what, values in (("persona", names), ("perspective", perspectives)):
            twice = {value for value in values if values.count(value) > 1}
            if twice:
                raise UsageError(f"the council has {what} {min(twice)!r} more than once")

    @classmethod
    def load(cls, *names: str | Path) -> Council:
        """The council of these personas: built-in names, persona files, or folders of them; none means the seven.

        Raises:
            UsageError: a persona is unknown, or one stands there twice.
            ContentError: a persona file is wrong.
        """
        if not names:
            return cls(tuple(read_persona(agents() / f"{name}.yaml") for name in DEFAULT_COUNCIL))
        return cls(tuple(persona for name in names for persona in _personas(name)))

    @property
    def quorum(self) -> int:
        """How many voices must speak unless another number is asked for: two thirds, rounded up."""
        return math.ceil(len(self.personas) * 2 / 3)

    def check(self, voice_models: Iterable[str] = (), rounds: int = 1, min_voices: int | None = None) -> int:
        """How many voices must speak, once the numbers and the perspectives with models of their own fit the council.

        Raises:
            UsageError: they do not.
        """
        size = len(self.personas)
        for perspective in voice_models:
            if perspective not in self.perspectives:
                there = ", ".join(self.perspectives)
                raise UsageError(f"--voice-model: no perspective {perspective!r} in this council: {there}")
        if min_voices is not None and not 1 <= min_voices <= size:
            raise UsageError(f"--min-voices must be 1 to {size}, the size of the council")
        if rounds < 1:
            raise UsageError("--rounds must be at least 1")
        return self.quorum if min_voices is None else min_voices

    @property
    def perspectives(self) -> tuple[str, ...]:
        """The perspectives that speak, in order."""
        return tuple(persona.perspective for persona in self.personas)


_LISTS = (HARMS_FILE, TOPICS_FILE)
DEFAULT_COUNCIL = ("western", "islamic", "east_asian", "south_asian", "african", "latin_american", "indigenous")


def agents() -> Path:
    """The folder of the built-in personas."""
    return content_root() / "agents"


def built_in() -> list[Persona]:
    """Every persona in agents/, the default council first.

    Raises:
        ContentError: a persona file is wrong.
    """
    names = sorted(path.stem for path in persona_files(agents()))
    ordered = [*DEFAULT_COUNCIL, *(name for name in names if name not in DEFAULT_COUNCIL)]
    return [read_persona(agents() / f"{name}.yaml") for name in ordered]


def read_persona(path: Path) -> Persona:
    """The persona of one file.

    Raises:
        ContentError: the file or one of its fields is wrong, or its `name` is not the file's.
    """
    # a copy: what a persona computes once belongs to that copy, and is not taken over into changed ones
    return _read_persona(path, file_version(path), file_version(path.parent / FOLDER / path.name)).model_copy()


@lru_cache(maxsize=64)
def _read_persona(path: Path, *_: tuple[int, int] | None) -> Persona:
    """The persona of one file as long as the versions of the file and of its sourcebook stay."""
    persona = read_model(path, Persona)
    if persona.sourcebook is not None:
        raise ContentError(path, f"positions stand in a file of their own, {FOLDER}/{path.name}", field="sourcebook")
    if persona.name != path.stem:
        raise ContentError(path, f"must be {path.stem!r}, the name of the file", field="name")
    known, said = {harm.id for harm in load_harms()}, [*(e.harm for e in persona.harms), *persona.nothing_on_record]
    for harm in said:
        if harm not in known:
            raise ContentError(path, f"no harm {harm!r} in agents/harms.yaml", field="harms")
        if said.count(harm) > 1:
            raise ContentError(path, f"{harm!r} stands twice in harms and nothing_on_record", field="harms")
    book = path.parent / FOLDER / path.name
    return persona.model_copy(update={"sourcebook": read_sourcebook(book)}) if book.is_file() else persona


def persona_files(folder: Path) -> list[Path]:
    """The persona files of a folder, sorted; the lists of harms and topics may lie among them."""
    return sorted(path for path in folder.glob("*.yaml") if path.name not in _LISTS)


def _personas(name: str | Path) -> Iterable[Persona]:
    path = Path(name)
    if path.is_dir():
        files = persona_files(path)
        if not files:
            raise ContentError(path, "this folder holds no persona file (*.yaml)")
        return [read_persona(file) for file in files]
    if path.suffix in (".yaml", ".yml"):
        return [read_persona(path)]
    file = agents() / f"{name}.yaml"
    if not file.is_file() or file.parent != agents() or file.name in _LISTS:
        known = ", ".join(file.stem for file in persona_files(agents()))
        raise UsageError(f"no persona {str(name)!r}; built in: {known}; or give a persona file or a folder of them")
    return [read_persona(file)]


def persona_text(name: str) -> str:
    """The file of a built-in persona as its authors wrote it.

    Raises:
        UsageError: there is no such persona.
    """
    next(iter(_personas(name)))
    path = Path(name)
    return read_text(path if path.suffix in (".yaml", ".yml") else agents() / f"{name}.yaml")
