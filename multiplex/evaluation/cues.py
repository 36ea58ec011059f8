"""Decides whether a nationality or a place holds a view in its sentence, or is a mere label there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from multiplex.content import content_root, read_yaml
from multiplex.errors import ContentError
from multiplex.evaluation.gazetteer import Entity, Slot
from multiplex.evaluation.matching import Form, Match, Matcher
from multiplex.evaluation.tokens import Token

_Kind = Literal["holders", "practices", "views", "norms"]
_Words = Annotated[tuple[Annotated[str, StringConstraints(min_length=1)], ...], Field(min_length=1)]

_YEAR = re.compile(r"\b(?:1\d{3}|20\d{2})s?\b")
_PAUSE = re.compile(r"[.,;:!?()\[\]|/…—]")
_HALT = re.compile(r"[;:!?|]")
_LABEL = re.compile(r"[\s*_\"'”’)]*(?:[:|—–]|\s-\s|$)")
_REACH = 2  # words after an adjective in which it finds what it qualifies


class _CueWords(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    holders: _Words
    practices: _Words
    views: _Words
    norms: _Words
    verbs: _Words
    adverbs: _Words
    doing: _Words
    lived_in: _Words
    belongs: _Words
    on_the_way: _Words
    turns: _Words


@dataclass(frozen=True, slots=True)
class CueWords:
    """The words of eval/cues.yaml that make the difference; read once, never changed."""

    matcher: Matcher[_Kind, None]
    verbs: frozenset[str]
    adverbs: frozenset[str]
    doing: frozenset[str]
    lived_in: frozenset[str]
    belongs: frozenset[str]
    on_the_way: frozenset[str]
    turns: frozenset[str]

    @classmethod
    def load(cls, path: Path | None = None) -> CueWords:
        """Reads a file of cue words, by default the one that ships.

        Raises:
            ContentError: it is absent or not of the schema; the field is named.
        """
        path = path if path is not None else content_root() / "eval" / "cues.yaml"
        try:
            words = _CueWords.model_validate(read_yaml(path))
        except ValidationError as error:
            first = error.errors()[0]
            raise ContentError(path, first["msg"], field=".".join(map(str, first["loc"]))) from error
        kinds: tuple[_Kind, ...] = ("holders", "practices", "views", "norms")
        forms = [Form.of(word, kind, None) for kind in kinds for word in getattr(words, kind)]
        return cls(
            matcher=Matcher(forms),
            verbs=frozenset(words.verbs),
            adverbs=frozenset(words.adverbs),
            doing=frozenset((*words.doing, *words.adverbs, *words.verbs)),
            lived_in=frozenset(words.lived_in),
            belongs=frozenset(words.belongs),
            on_the_way=frozenset(words.on_the_way),
            turns=frozenset(words.turns),
        )


@cache
def shipped_cue_words() -> CueWords:
    """The cue words that ship; frozen, so one copy serves every thread."""
    return CueWords.load()


@dataclass(frozen=True, slots=True)
class Context:
    """One sentence as its cues are judged: words, gazetteer matches, and which words speak of people's ways."""

    text: str
    words: list[Token]
    taken: frozenset[int]
    labels: frozenset[int]
    telling: frozenset[int]
    norms: frozenset[int]
    cue_words: CueWords

    @classmethod
    def of(cls, text: str, words: list[Token], matches: list[Match[Slot, Entity]], cue_words: CueWords) -> Context:
        """Prepares a sentence; word numbers are those of `words`."""
        taken = frozenset(at for match in matches for at in range(match.first, match.last + 1))
        labels = frozenset(match.first for match in matches if match.form.slot in ("adjectives", "traditions"))
        telling: set[int] = set()
        norms: set[int] = set()
        for match in cue_words.matcher.match(text, words):
            (norms if match.form.slot == "norms" else telling).update(range(match.first, match.last + 1))
        return cls(text, words, taken, labels, frozenset(telling - taken), frozenset(norms - taken), cue_words)

    def cue(self, match: Match[Slot, Entity]) -> Literal["named", "concept", "place"]:
        """The cue of one match in this sentence."""
        slot = match.form.slot
        if slot == "concept":
            return "concept"
        if slot in ("people", "traditions"):
            return "named"
        if slot == "adjectives":
            held = self._qualifies(match) or self._is_a_people(match) or self._is_label(match)
        else:
            held = self._qualifies(match) or self._acts(match)
        return "named" if held or self._is_lived_in(match) else "place"

    def _gap(self, at: int) -> str:
        """What stands between word `at` and the next."""
        left = self.words[at].end
        return self.text[left : self.words[at + 1].start] if at + 1 < len(self.words) else self.text[left:]

    def _qualifies(self, match: Match[Slot, Entity]) -> bool:
        """ "Japanese families", "Chinese and Korean elders", "Japan's culture", "Hong Kong people"."""
        at = match.last
        if match.form.slot == "adjectives":
            at = self._past_coordination(at)
        reach = _REACH if match.form.slot == "adjectives" or match.possessive else 1
        for step in range(1, reach + 1):
            if at + step >= len(self.words) or _PAUSE.search(self._gap(at + step - 1)):
                return False
            if at + step in self.telling and not self._is_proper(at + step):
                return True
        return False

    def _is_proper(self, at: int) -> bool:
        """ "the American Society of Composers": a capital inside a sentence that is no title."""
        capitals = sum(1 for token in self.words if token.word[:1].isupper())
        return self.words[at].word[:1].isupper() and 2 * capitals <= len(self.words)

    def _past_coordination(self, at: int) -> int:
        """The last word of "Chinese, Korean and Japanese", from any of them."""
        while at + 1 < len(self.words):
            gap = self._gap(at).strip()
            onward = at + 1
            if self.words[onward].key in ("and", "or") and gap in ("", ","):
                onward += 1
            elif gap not in (",", "/", "-", "&"):
                break
            if onward not in self.labels:
                break
            at = onward
            while at + 1 in self.taken and at + 1 not in self.labels:
                at += 1
        return at

    def _is_a_people(self, match: Match[Slot, Entity]) -> bool:
        """ "the Japanese value", "many Chinese believe": the adjective stands for the people."""
        before = self.words[match.first - 1].key if match.first else ""
        onward = match.last + 1
        if before not in ("the", "many", "most", "some") or onward >= len(self.words):
            return False
        return not _PAUSE.search(self._gap(match.last)) and self.words[onward].key in self.cue_words.doing

    def _is_label(self, match: Match[Slot, Entity]) -> bool:
        """ "**Islamic**: the family ..." or a heading "Islamic": what follows is attributed to it."""
        return match.first == 0 and bool(_LABEL.match(self.text, match.end))

    def _acts(self, match: Match[Slot, Entity]) -> bool:
        """ "India values its elders"."""
        at = match.last + 1
        while at < len(self.words) and self.words[at].key in self.cue_words.adverbs:
            at += 1
        return (
            at < len(self.words)
            and not any(_PAUSE.search(self._gap(step)) for step in range(match.last, at))
            and self.words[at].key in self.cue_words.verbs
        )

    def _is_lived_in(self, match: Match[Slot, Entity]) -> bool:
        """ "In Japan, elders are respected"; "families in rural India"; not "in Japan in 1990", not "in Japanese,"."""
        if _YEAR.search(self.text):
            return False
        if match.form.slot == "adjectives" and (
            match.last + 1 >= len(self.words) or _PAUSE.search(self._gap(match.last))
        ):
            return False
        at = match.first - 1
        while at >= 0 and not _HALT.search(self._gap(at)):
            word = self.words[at].key
            if word in self.cue_words.lived_in or word in self.cue_words.belongs:
                near = range(max(0, at - 2), at)
                if any(step in self.telling and not _PAUSE.search(self._gap(step)) for step in near):
                    return True
                if word in self.cue_words.lived_in:
                    return self._tells_of_ways(at)
                if at == 0 or self.words[at - 1].key not in self.cue_words.on_the_way:
                    return False
            elif word not in self.cue_words.on_the_way and at not in self.taken:
                break
            at -= 1
        return match.form.slot == "places" and self._is_label(match) and self._tells_of_ways(match.last)

    def _tells_of_ways(self, at: int) -> bool:
        """Whether the clause round word `at` names a holder, a practice or a norm."""
        for direction in (1, -1):
            step = at + direction
            while 0 <= step < len(self.words):
                between = self._gap(min(step, step - direction))
                if self.words[step].key in self.cue_words.turns or (";" in between):
                    break
                if step in self.telling or step in self.norms:
                    return True
                step += direction
        return False
