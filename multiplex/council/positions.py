"""The sourcebook: positions inside one tradition, each with its holder and its source (`agents/positions/`)."""

from __future__ import annotations

from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from multiplex.content import content_root, file_version, line_of, read_model, read_tree
from multiplex.errors import ContentError

FOLDER = "positions"  # beside the persona files
TOPICS_FILE = "topics.yaml"
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]


class Part(BaseModel):
    """A part of a content file: no field that is not known, and nothing changes."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(Part):
    """A work that can be checked: who wrote it, what it is called, when it appeared."""

    author: Text
    work: Text
    year: Text

    def __str__(self) -> str:
        return f"{self.author}, {self.work} ({self.year})"


class Opposition(Part):
    """Another position of the same sourcebook, and what the two disagree about."""

    id: Slug
    about: Text


class Position(Part):
    """What somebody inside a tradition holds.

    Attributes:
        id: unique in its file; a reader reports a fault by it.
        covers: ids of agents/topics.yaml that it answers for.
        topics: how a user would put the matter, in plain phrases; questions are matched with them.
        says: the statement, shown word for word: whose view it is, and why.
        whose: the school, people or author, in short.
        era: when it was held or written.
        against: positions of the same file that disagree with it; it holds for both, wherever it is written.
    """

    id: Slug
    covers: tuple[Name, ...] = ()
    topics: Annotated[tuple[Text, ...], Field(min_length=2, max_length=5)]
    says: Text
    whose: Text
    source: Source
    era: Text
    against: tuple[Opposition, ...] = ()

    def __str__(self) -> str:
        return f"{self.says} ({self.whose}; {self.source})"


class Sourcebook(Part):
    """The file of one persona; `nothing_on_record` are topics for which it has no sure position."""

    positions: Annotated[tuple[Position, ...], Field(min_length=1)]
    nothing_on_record: tuple[Name, ...] = ()

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """Each position's statement and topic phrases, which are embedded together."""
        return tuple(f"{position.says} {' '.join(position.topics)}" for position in self.positions)

    @cached_property
    def phrases(self) -> tuple[str, ...]:
        """The topic phrases of all positions, which are embedded one by one too."""
        return tuple(phrase for position in self.positions for phrase in position.topics)

    @cached_property
    def by_id(self) -> dict[str, Position]:
        """The positions by their ids."""
        return {position.id: position for position in self.positions}

    def opponents(self, position: Position) -> list[tuple[Position, str]]:
        """The positions that disagree with one, in the order of the file, and what about."""
        about = {each.id: each.about for each in position.against}
        for other in self.positions:
            for each in other.against:
                if each.id == position.id:
                    about.setdefault(other.id, each.about)
        return [(other, about[other.id]) for other in self.positions if other.id in about]


class Topic(Part):
    """A matter that sourcebooks answer for."""

    id: Name
    name: Text


class _Topics(Part):
    topics: Annotated[tuple[Topic, ...], Field(min_length=1)]


@cache
def load_topics() -> tuple[Topic, ...]:
    """The list of agents/topics.yaml.

    Raises:
        ContentError: the file is wrong, or an id stands twice.
    """
    path = content_root() / "agents" / TOPICS_FILE
    topics = read_model(path, _Topics).topics
    if len({topic.id for topic in topics}) < len(topics):
        raise ContentError(path, "an id stands twice", field="topics")
    return topics


def read_sourcebook(path: Path) -> Sourcebook:
    """The sourcebook of one file; read once in a process, and again when the file has changed.

    Raises:
        ContentError: a field is wrong, an id stands twice, `against` leads nowhere, or a topic is not in the list; the
            line and the field are named.
    """
    return _read(path, file_version(path))


@lru_cache(maxsize=64)
def _read(path: Path, _: tuple[int, int] | None) -> Sourcebook:
    book = read_model(path, Sourcebook)
    fault = _fault(book)
    if fault is not None:
        place, problem = fault
        raise ContentError(path, problem, line=line_of(read_tree(path)[1], place), field=".".join(map(str, place)))
    return book


def _fault(book: Sourcebook) -> tuple[tuple[int | str, ...], str] | None:
    """What no single field shows: where, and what is wrong."""
    ids, topics = [each.id for each in book.positions], {topic.id for topic in load_topics()}
    for i, position in enumerate(book.positions):
        if position.id in ids[:i]:
            return ("positions", i, "id"), f"{position.id!r} stands twice; every position has an id of its own"
    for i, position in enumerate(book.positions):
        for j, opposition in enumerate(position.against):
            if opposition.id not in ids or opposition.id == position.id:
                return ("positions", i, "against", j, "id"), f"no other position {opposition.id!r} in this file"
        for j, topic in enumerate(position.covers):
            if topic not in topics:
                return ("positions", i, "covers", j), f"no topic {topic!r} in agents/{TOPICS_FILE}"
    covered = {topic for position in book.positions for topic in position.covers}
    for j, topic in enumerate(book.nothing_on_record):
        if topic not in topics or topic in covered:
            why = "a position covers it" if topic in covered else f"it is not in agents/{TOPICS_FILE}"
            return ("nothing_on_record", j), f"topic {topic!r}: {why}"
    return None
