"""Reads eval/depth.yaml: the English words by which the figures of depth are read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from multiplex.content import content_root, read_model
from multiplex.text.matching import whole_words

_Words = Annotated[tuple[Annotated[str, StringConstraints(min_length=1, to_lower=True)], ...], Field(min_length=1)]


class _DepthWords(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    labels: dict[str, _Words]
    says: _Words
    reasons: _Words
    quantifiers: _Words
    opposes: _Words
    contrasts: _Words
    parties: _Words
    unnamed: _Words


@dataclass(frozen=True, slots=True)
class DepthWords:
    """The lists of eval/depth.yaml as patterns that match whole words in any case.

    Attributes:
        labels: by perspective, the ways to write its own label, in lower case.
        says: a name or party that comes before, then what it does with a view.
    """

    labels: Mapping[str, frozenset[str]]
    says: re.Pattern[str]
    reasons: re.Pattern[str]
    quantifiers: re.Pattern[str]
    opposes: re.Pattern[str]
    contrasts: re.Pattern[str]
    parties: re.Pattern[str]
    unnamed: frozenset[str]

    @classmethod
    def load(cls, path: Path | None = None) -> DepthWords:
        """Reads a file of words, by default the one that ships.

        Raises:
            ContentError: it is absent or not of the schema; the line and the field are named.
        """
        words = read_model(path if path is not None else content_root() / "eval" / "depth.yaml", _DepthWords)
        says, opposes = _either(words.says), _either((*words.says, *words.opposes))
        return cls(
            labels={name: frozenset(forms) for name, forms in words.labels.items()},
            # A name, an aside between commas, "and others", an auxiliary or adverb may stand before the verb.
            says=re.compile(
                r"(?:['’]s?)?[\s*_\"”]*(?:,[^,.;:]{1,80},)?(?:\s*(?:and|or)\s+[\w'’ -]{1,40}?)?"
                rf"(?:\s+(?:would|has|have|had|also|once|still|later|then|himself|herself|\w+ly))*\s*\b(?:{says})\b",
                re.IGNORECASE,
            ),
            reasons=re.compile(rf"\b(?:{_either(words.reasons)})\b(?!\s+\d)", re.IGNORECASE),
            quantifiers=whole_words(words.quantifiers),
            opposes=whole_words(words.opposes),
            contrasts=whole_words(words.contrasts),
            parties=re.compile(rf"\b(?:{_either(words.parties)})\b[^.;:]{{0,40}}?\b(?:{opposes})\b", re.IGNORECASE),
            unnamed=frozenset(words.unnamed),
        )

    def is_label(self, text: str, perspective: str) -> bool:
        """Whether a reference's own words are only the label of its perspective.

        A perspective without labels of its own, one of a user's frame, has those of every other.
        """
        written = re.sub(r"[*_\s]+", " ", text).strip().lower().removeprefix("the ")
        if perspective in self.labels:
            return written in self.labels[perspective] or written == perspective.replace("_", " ")
        return written == perspective.replace("_", " ") or any(written in forms for forms in self.labels.values())


def _either(words: Iterable[str]) -> str:
    return "|".join(sorted(map(re.escape, words), key=len, reverse=True))


@cache
def shipped_depth_words() -> DepthWords:
    """The words that ship; frozen, so one copy serves every thread."""
    return DepthWords.load()
