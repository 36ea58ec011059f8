"""Reads eval/cues.yaml: the words that tell the holder of a view from a mere label."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from multiplex.content import content_root, read_model
from multiplex.errors import ContentError
from multiplex.text.matching import Form, Matcher

Kind = Literal["holders", "practices", "views", "norms", "labels", "deeds", "speech", "rule"]
_Words = Annotated[tuple[Annotated[str, StringConstraints(min_length=1)], ...], Field(min_length=1)]


class _CueWords(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    holders: _Words
    practices: _Words
    views: _Words
    norms: _Words
    labels: _Words
    deeds: _Words
    typical: _Words
    verbs: _Words
    adverbs: _Words
    doing: _Words
    lived_in: _Words
    belongs: _Words
    toward: _Words
    on_the_way: _Words
    turns: _Words
    lingua_francas: _Words
    speech: _Words
    rule: _Words
    directions: _Words
    persons: _Words
    teams: _Words
    sports: _Words
    determiners: _Words


@dataclass(frozen=True, slots=True)
class CueWords:
    """The words of eval/cues.yaml that make the difference; read once, never changed."""

    matcher: Matcher[Kind, None]
    typical: frozenset[str]
    verbs: frozenset[str]
    adverbs: frozenset[str]
    doing: frozenset[str]
    lived_in: frozenset[str]
    belongs: frozenset[str]
    located: frozenset[str]
    on_the_way: frozenset[str]
    turns: frozenset[str]
    lingua_francas: frozenset[str]
    directions: frozenset[str]
    persons: frozenset[str]
    teams: frozenset[str]
    sports: frozenset[str]
    determiners: frozenset[str]

    @classmethod
    def load(cls, path: Path | None = None) -> CueWords:
        """Reads a file of cue words, by default the one that ships.

        Raises:
            ContentError: it is absent or not of the schema; the line and the field are named.
        """
        path = path if path is not None else content_root() / "eval" / "cues.yaml"
        words = read_model(path, _CueWords)
        kinds: tuple[Kind, ...] = get_args(Kind)
        listed: dict[str, str] = {}
        for kind in kinds:
            for word in getattr(words, kind):
                if listed.setdefault(word, kind) != kind:
                    raise ContentError(
                        path, f"{word!r} stands under {listed[word]} too; a word is of one kind", field=kind
                    )
        forms = [Form.of(word, kind, None) for kind in kinds for word in getattr(words, kind)]
        return cls(
            matcher=Matcher(forms),
            typical=frozenset(words.typical),
            verbs=frozenset(words.verbs),
            adverbs=frozenset(words.adverbs),
            doing=frozenset((*words.doing, *words.adverbs, *words.verbs)),
            lived_in=frozenset(words.lived_in),
            belongs=frozenset(words.belongs),
            located=frozenset((*words.lived_in, *words.belongs, *words.toward)),
            on_the_way=frozenset(words.on_the_way),
            turns=frozenset(words.turns),
            lingua_francas=frozenset(words.lingua_francas),
            directions=frozenset(words.directions),
            persons=frozenset(words.persons),
            teams=frozenset(words.teams),
            sports=frozenset(words.sports),
            determiners=frozenset(words.determiners),
        )


@cache
def shipped_cue_words() -> CueWords:
    """The cue words that ship; frozen, so one copy serves every thread."""
    return CueWords.load()
