"""Whether an ambiguous form means its entry: "the law of karma" does, "instant karma" does not."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Annotated, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from multiplex.content import content_root, read_yaml
from multiplex.errors import ContentError
from multiplex.text.matching import whole_words
from multiplex.text.sentences import Sentence
from multiplex.text.tokens import count_words, tokens


class _Reference(Protocol):
    """What is read of a `references.Reference`."""

    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def text(self) -> str: ...
    @property
    def entity(self) -> str: ...
    @property
    def perspective(self) -> str: ...
    @property
    def sentence(self) -> int: ...


ReferenceT = TypeVar("ReferenceT", bound=_Reference)
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
            ContentError: it is absent or not of the schema; the field is named.
        """
        path = path if path is not None else content_root() / "eval" / "senses.yaml"
        try:
            words = _SenseWords.model_validate(read_yaml(path))
        except ValidationError as error:
            first = error.errors()[0]
            raise ContentError(path, first["msg"], field=".".join(map(str, first["loc"]))) from error
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
    references: Sequence[ReferenceT],
    sentences: Sequence[Sentence],
    ambiguous: Collection[tuple[str, tuple[str, ...]]],
    words: SenseWords | None = None,
) -> tuple[ReferenceT, ...]:
    """The references without those by an ambiguous form that nothing supports.

    Support is another entity of the same perspective in the sentence or, kept, in the one before; a word of faith,
    thought, kinship or law in either; or that the form is mentioned, explained, or stands alone. `ambiguous` are
    (entity, keys of the form's words), as `Gazetteer.ambiguous`.
    """
    doubtful = {each for each in references if (each.entity, _keys(each.text)) in ambiguous}
    if not doubtful:
        return tuple(references)
    words = words if words is not None else shipped_sense_words()
    kept: list[ReferenceT] = []
    for number, group in groupby(references, key=lambda each: each.sentence):
        here = list(group)
        company = [*here, *(each for each in kept if each.sentence == number - 1)]
        unclear = [each for each in here if each in doubtful]
        around = f"{sentences[number - 1].text if number else ''}\n{_without(sentences[number], unclear)}"
        spoken_for = bool(unclear) and words.supports.search(around) is not None
        kept += [
            each
            for each in here
            if each not in doubtful
            or spoken_for
            or any(other.entity != each.entity and other.perspective == each.perspective for other in company)
            or _is_spoken_of(each, sentences[number], words)
        ]
    return tuple(kept)


def _keys(text: str) -> tuple[str, ...]:
    return tuple(token.key for token in tokens(text))


def _is_spoken_of(reference: _Reference, sentence: Sentence, words: SenseWords) -> bool:
    """ "the concept of karma", "Karma means ...", "- Karma"."""
    left = sentence.text[: reference.start - sentence.start]
    right = sentence.text[reference.end - sentence.start :]
    if words.mentions.search(left) or count_words(left) + count_words(right) <= _ALONE:
        return True
    return not count_words(left) and bool(words.explains.match(right))


def _without(sentence: Sentence, references: Sequence[_Reference]) -> str:
    """The sentence without its ambiguous forms, which cannot support themselves."""
    text = sentence.text
    for each in references:
        start, end = each.start - sentence.start, each.end - sentence.start
        text = text[:start] + " " * (end - start) + text[end:]
    return text
