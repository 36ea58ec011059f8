"""Whether an ambiguous form means its entry: "the law of karma" does, "instant karma" does not."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from multiplex.content import content_root, read_model
from multiplex.evaluation.extraction.frame import Cue
from multiplex.evaluation.extraction.gazetteer import Entity, Gazetteer, Slot
from multiplex.text.matching import Match, whole_words
from multiplex.text.sentences import Sentence
from multiplex.text.tokens import count_words

Found: TypeAlias = tuple[Match[Slot, Entity], Cue]
"""A match with the cue that it is in its sentence."""
_Words = Annotated[tuple[Annotated[str, StringConstraints(min_length=1)], ...], Field(min_length=1)]
_ALONE = 1  # further words beside a form that stands as a heading or an item of a list


class _SenseWords(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    supports: _Words
    mentions: _Words
    explains: _Words


@dataclass(frozen=True, slots=True)
class SenseWords:
    """The words of eval/senses.yaml as patterns."""

    supports: re.Pattern[str]
    mentions: re.Pattern[str]
    explains: re.Pattern[str]

    @classmethod
    def load(cls, path: Path | None = None) -> SenseWords:
        """Reads a file of words, by default the one that ships.

        Raises:
            ContentError: it is absent or not of the schema; the line and the field are named.
        """
        words = read_model(path if path is not None else content_root() / "eval" / "senses.yaml", _SenseWords)
        return cls(
            whole_words(words.supports),
            re.compile(whole_words(words.mentions).pattern + r"[\s\"'“‘*_]*$", re.IGNORECASE),
            re.compile(r"[\s\"'”’*_]*(?:,\s+or\b|(?:" + whole_words(words.explains).pattern + "))", re.IGNORECASE),
        )


@cache
def shipped_sense_words() -> SenseWords:
    """The words that ship; frozen, so one copy serves every thread."""
    return SenseWords.load()


def keep_supported(
    found: Sequence[Sequence[Found]],
    sentences: Sequence[Sentence],
    gazetteer: Gazetteer,
    foreign: Container[int] = (),
    words: SenseWords | None = None,
) -> list[list[Found]]:
    """By sentence, the matches without those of an ambiguous form that nothing supports.

    Support is another entity that shares a facet, in the sentence or, kept, in the one before; a word of faith,
    thought, kinship or law in either; or that the form is mentioned, explained, or stands alone. What may be a surname
    ("the philosopher Li") needs an idea or a tradition beside it, or a mention. It does not depend on a frame. The
    sentences numbered in `foreign` are in other languages, whose lists hold no ambiguous form.
    """
    kept: list[list[Found]] = []
    for number, here in enumerate(found):
        doubtful = [match for match, _ in here if _key(match) in gazetteer.ambiguous]
        if not doubtful or number in foreign:
            kept.append(list(here))
            continue
        words = words if words is not None else shipped_sense_words()
        text = sentences[number].text
        before = kept[-1] if number else []
        around = f"{sentences[number - 1].text if number else ''}\n{_without(text, doubtful)}"
        spoken_for = words.supports.search(around) is not None
        company = [match for match, _ in (*here, *before)]
        named = [match for match in doubtful if _key(match) in gazetteer.surnames and _is_a_name(match, text)]
        ideas = [match for match in company if match.form.slot in ("concept", "traditions")]
        kept.append(
            [
                (match, cue)
                for match, cue in here
                if match not in doubtful
                or (spoken_for and match not in named)
                or _has_kin(match, ideas if match in named else company)
                or _is_spoken_of(match, text, words)
            ]
        )
    return kept


def _key(match: Match[Slot, Entity]) -> tuple[str, tuple[str, ...]]:
    return match.form.entity.id, match.form.keys


def _is_a_name(match: Match[Slot, Entity], text: str) -> bool:
    """ "a poem by Li": a capital inside the sentence."""
    return text[match.start].isupper() and bool(count_words(text[: match.start]))


def _has_kin(match: Match[Slot, Entity], company: Iterable[Match[Slot, Entity]]) -> bool:
    """Whether another entity of the company shares a facet."""
    own = match.form.entity
    return any(each.form.entity.id != own.id and each.form.entity.facets.meet(own.facets) for each in company)


def _is_spoken_of(match: Match[Slot, Entity], text: str, words: SenseWords) -> bool:
    """ "the concept of karma", "Karma means ...", "- Karma"."""
    left, right = text[: match.start], text[match.end :]
    if words.mentions.search(left) or count_words(left) + count_words(right) <= _ALONE:
        return True
    return not count_words(left) and bool(words.explains.match(right))


def _without(text: str, matches: Sequence[Match[Slot, Entity]]) -> str:
    """A sentence without its ambiguous forms, which cannot support themselves."""
    for match in matches:
        text = text[: match.start] + " " * (match.end - match.start) + text[match.end :]
    return text
