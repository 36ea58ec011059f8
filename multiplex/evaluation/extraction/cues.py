"""Decides whether a nationality or a place holds a view in its sentence, or is a mere label there."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from typing import Literal

from multiplex.evaluation.extraction.cue_words import CueWords, Kind
from multiplex.evaluation.extraction.gazetteer import Entity, Slot
from multiplex.text.matching import Match
from multiplex.text.tokens import Token

_YEAR = re.compile(r"\b(?:1\d{3}|20\d{2})s?\b")
_VERSE = re.compile(r"\s\d+:\d")  # "Romans 12:2"
_PAUSE = re.compile(r"[.,;:!?()\[\]|/…—]")
_HALT = re.compile(r"[;:!?|]")
_LABEL = re.compile(r"[\s*_\"'”’)]*(?:[:|—–]|\s-\s)[\s*_\"'“‘(|]*\w")
_WHEN = re.compile(
    r"\b(?:during|before|after|since|until|prior to|in the (?:time|age|era|days) of|on the eve of)\s+(?:the\s+)?$",
    re.IGNORECASE,
)
_CLASHES = frozenset(
    ("truce", "treaty", "alliance", "army", "armies", "troops", "invasion", "siege", "campaign", "revolt")
)
_IZAFET = frozenset(("e", "i", "ul"))  # "Sipah-e-Sahaba"
_STORIES = frozenset(("mythology", "folklore", "legend", "legends"))
_FIGURE = re.compile(r"\b(?:was|were|is|are)\s+(?:\w+\s+)?(?:an?|the|one of)\b")
_NEAR = 15  # words round a place within which its people's ways are spoken of
_REACH = 2  # words after an adjective in which it finds what it qualifies
_TELLING: tuple[Kind, ...] = ("holders", "practices", "views")
_COUNTED_TEXT = (
    "two three four five six seven eight nine ten twelve dozen hundred thousand million ethnic minority majority"
)
_COUNTED = frozenset(_COUNTED_TEXT.split())
_AFTER_TEXT = "is was are were has had as and or in to for from by at but than which that the a an their its his her"
_AFTER_A_LANGUAGE = frozenset(_AFTER_TEXT.split())


@dataclass(frozen=True, slots=True)
class Context:
    """One sentence as its cues are judged: words, gazetteer matches, and which words speak of people's ways."""

    text: str
    words: list[Token]
    cue_words: CueWords
    slots: dict[int, Slot]
    """The slot of the match that a word belongs to."""
    firsts: frozenset[int]
    """Where an adjective or a tradition begins."""
    kinds: dict[int, Kind]
    """What kind of cue word a word is; none where it belongs to a match."""
    dated: bool
    """Whether it names a year."""

    @classmethod
    def of(cls, text: str, words: list[Token], matches: list[Match[Slot, Entity]], cue_words: CueWords) -> Context:
        """Prepares a sentence; word numbers are those of `words`."""
        slots = {at: match.form.slot for match in matches for at in range(match.first, match.last + 1)}
        firsts = frozenset(match.first for match in matches if match.form.slot in ("adjectives", "traditions"))
        kinds: dict[int, Kind] = {}
        for match in cue_words.matcher.match(text, words):
            for at in range(match.first, match.last + 1):
                if at not in slots:
                    kinds[at] = match.form.slot
        return cls(text, words, cue_words, slots, firsts, kinds, dated=bool(_YEAR.search(text)))

    def cue(self, match: Match[Slot, Entity]) -> Literal["named", "concept", "place"] | None:
        """The cue of one match in this sentence; None where the name is that of something else."""
        slot = match.form.slot
        if self._tells_of_a_figure(match):
            return "place"
        if slot == "concept":
            return "place" if self._is_of_something_else(match) else "concept"
        if self._is_something_else(match):
            return None
        if self._is_alone(match) or self._is_of_an_organisation(match) or self._is_counted_out(match):
            return "place"
        if slot == "traditions":
            held = not self._is_in_a_persons_name(match) and not self._labels(match) and not self._is_counted(match)
        elif slot == "people":
            held = self._qualifies(match) or self._acts(match) or not self._is_counted(match)
        elif slot == "adjectives":
            held = not self._labels(match) and (
                self._qualifies(match)
                or self._is_a_people(match)
                or self._is_typical(match)
                or self._is_lived_in(match)
            )
            held = held or self._is_heading(match)
        else:
            held = self._qualifies(match) or self._acts(match) or self._is_lived_in(match)
        return "named" if held else "place"

    def _is_alone(self, match: Match[Slot, Entity]) -> bool:
        """ "## Islamic", "2. Africa": a heading that is only a name says of nobody what they hold."""
        return all(match.first <= at <= match.last or self._key(at).isdigit() for at in range(len(self.words)))

    def _key(self, at: int) -> str:
        return self.words[at].key if 0 <= at < len(self.words) else ""

    def _gap(self, at: int) -> str:
        """What stands between word `at` and the next."""
        left = self.words[at].end
        return self.text[left : self.words[at + 1].start] if at + 1 < len(self.words) else self.text[left:]

    def _tells(self, at: int) -> bool:
        """Whether word `at` is a holder, a practice or a view; "1,700 people" are a number."""
        return self.kinds.get(at) in _TELLING and not self._is_number(at - 1)

    def _is_number(self, at: int) -> bool:
        return self._key(at) in _COUNTED or self._key(at).isdigit()

    def _is_something_else(self, match: Match[Slot, Entity]) -> bool:
        """A homonym that is no place, a book of the Bible, a team, rule over a land, a direction, a tongue."""
        if match.form.slot == "homonyms":
            return not self._is_located(match)
        if match.form.slot == "people":
            return bool(_VERSE.match(self.text, match.end)) or self._is_a_team(match)
        if match.form.slot != "adjectives":
            return False
        if self.kinds.get(match.last + 1) == "rule" and not _PAUSE.search(self._gap(match.last)):
            return True
        name = match.form.spelling.lower()
        if name in self.cue_words.directions:
            return self._is_a_direction(match)
        return name in self.cue_words.lingua_francas and self._is_a_language(match)

    def _is_a_team(self, match: Match[Slot, Entity]) -> bool:
        """ "the Vikings drafted a quarterback"."""
        named = match.form.spelling.lower() in self.cue_words.teams
        return named and any(word.key in self.cue_words.sports for word in self.words)

    def _is_located(self, match: Match[Slot, Entity]) -> bool:
        """ "in Florence", "the streets of Sydney", "Florence, Italy"; not "Michael Jordan", "of Jordan Peterson"."""
        onward = match.last + 1
        if onward < len(self.words) and onward not in self.slots:
            if not match.possessive and self._gap(match.last).isspace() and self.words[onward].word[:1].isupper():
                return False
        elif self.slots.get(onward) == "places" and self._gap(match.last).strip() == ",":
            return True
        at = match.first - 1
        while at >= 0 and not _PAUSE.search(self._gap(at)):
            if self.words[at].key in self.cue_words.located:
                return True
            if self.words[at].key not in self.cue_words.on_the_way and self.slots.get(at) not in ("places", "homonyms"):
                return False
            at -= 1
        return False

    def _is_a_direction(self, match: Match[Slot, Entity]) -> bool:
        """ "Western Pennsylvania", "the Western Wall"; not "Western Civilization", not "Western Muslims"."""
        onward = match.last + 1
        if (
            onward >= len(self.words)
            or not self._gap(match.last).isspace()
            or not self.words[onward].word[:1].isupper()
        ):
            return False
        return self.slots.get(onward) == "places" or (onward not in self.slots and onward not in self.kinds)

    def _is_a_language(self, match: Match[Slot, Entity]) -> bool:
        """ "English is taught", "fluent in French", "the Spanish word"; not "the French do", "is French"."""
        onward = match.last + 1
        if self.kinds.get(onward) == "speech" or self.kinds.get(match.first - 1) == "speech":
            return True
        if self._key(match.first - 1) in ("the", "is", "are", "was", "were", "being", "been", "be") or match.possessive:
            return False
        if onward >= len(self.words) or _PAUSE.search(self._gap(match.last)):
            return match.first > 0
        return self._key(onward) in _AFTER_A_LANGUAGE

    def _labels(self, match: Match[Slot, Entity]) -> bool:
        """ "a Lutheran church", "a young Jewish Dutch woman", "the Polish army"; not "the Lutheran church teaches"."""
        at = match.last
        for step in range(at + 1, min(at + _REACH, len(self.words) - 1) + 1):
            if _PAUSE.search(self._gap(step - 1)) or (self._tells(step) and not self._is_proper(step)):
                return False
            if self.kinds.get(step) in ("labels", "deeds"):
                return self._key(step + 1) not in self.cue_words.verbs and not self._is_of_ways(step)
        return False

    def _is_of_ways(self, at: int) -> bool:
        """ "street culture", "school children": what word `at` itself only qualifies is a holder or a practice."""
        return self._tells(at + 1) and self._gap(at).isspace() and not self._is_proper(at + 1)

    def _names_a_thing(self, match: Match[Slot, Entity]) -> bool:
        """ "the Avicenna Mausoleum", "the Gandhi Peace Prize": a thing that is called after an idea or its thinker."""
        if not self.text[match.start].isupper():
            return False
        for step in range(match.last + 1, min(match.last + _REACH, len(self.words) - 1) + 1):
            if not self._gap(step - 1).isspace() or not self.words[step].word[:1].isupper():
                return False
            if self.kinds.get(step) == "labels":
                return True
        return False

    def _is_of_something_else(self, match: Match[Slot, Entity]) -> bool:
        """A concept that only says when, whose office, whose war, or is a word in another name."""
        if self._key(match.last + 1) in _CLASHES and self._gap(match.last) == " ":
            return True
        named = self._names_a_thing(match) or self._is_in_a_longer_name(match)
        return named or self._dates(match) or self._is_a_title(match)

    def _dates(self, match: Match[Slot, Entity]) -> bool:
        """ "during the Industrial Revolution": an age or event that only says when."""
        before = self.text[: match.start]
        return any(map(str.isupper, self.text[match.start : match.end])) and bool(_WHEN.search(before))

    def _is_a_title(self, match: Match[Slot, Entity]) -> bool:
        """ "the caliph Muawiyah": an office before its holder's name, in a sentence on that person."""
        onward = match.last + 1
        if not self.text[match.start].islower() or match.possessive or onward >= len(self.words):
            return False
        return self._gap(match.last) == " " and onward not in self.slots and self.words[onward].word[:1].isupper()

    def _is_in_a_longer_name(self, match: Match[Slot, Entity]) -> bool:
        """ "the Multicolored Mosque", "Most Haunted Christmas Special": a word in the name of something else."""
        if not self._is_proper(match.first) or match.possessive:
            return False
        if self._key(match.first - 1) in _IZAFET and self._gap(match.first - 1) == "-":
            return True
        before = match.first > 1 and self._is_of_a_name(match.first - 1, match.first - 1)
        after = match.last + 1 < len(self.words) and self._is_of_a_name(match.last + 1, match.last)
        return (before or after) if match.form.words[0].islower() else (before and after)

    def _is_of_a_name(self, at: int, gap: int) -> bool:
        """Whether word `at`, beside a match, is a capitalised word that belongs to no match; `gap` stands between."""
        return at not in self.slots and self.words[at].word[:1].isupper() and self._gap(gap) == " "

    def _is_in_a_persons_name(self, match: Match[Slot, Entity]) -> bool:
        """ "Islam Karimov", "a banker Anshu Jain"; not "in Islam God is", "the Christian West", "Marwari Jain nuns"."""
        before, onward = match.first - 1, match.last + 1
        if self._key(match.first) not in self.cue_words.persons or match.first < match.last:
            return False
        if before > 0 and self._is_of_a_name(before, before) and self._is_proper(before):
            return not self._qualifies(match)
        if onward >= len(self.words) or onward in self.kinds or match.possessive or not self._is_proper(onward):
            return False
        if self.words[onward].word.isupper():  # "Islam SHOULD"
            return False
        apart = self.cue_words.located | self.cue_words.determiners | {"and", "or"}
        return self._is_of_a_name(onward, match.last) and self._key(before) not in apart

    def _is_of_an_organisation(self, match: Match[Slot, Entity]) -> bool:
        """ "Band of Chippewa Indians", "Dialogue with Non-Believers": a people in the name of a body."""
        if match.form.slot in ("places", "homonyms") or match.first < 3:
            return False
        if self._key(match.first - 1) not in ("of", "for", "with") or not self._is_proper(match.first):
            return False
        return self._is_proper(match.first - 2) and match.first - 2 not in self.slots

    def _is_counted_out(self, match: Match[Slot, Entity]) -> bool:
        """ "ethnic Germans", "spoken by Christian Roma": a group of a census or of speakers holds no view."""
        if self._key(match.first - 1) == "by" and self.kinds.get(match.first - 2) == "speech":
            return True
        return f"ethnic {self.text[match.start : match.end]}" in self.text

    def _tells_of_a_figure(self, match: Match[Slot, Entity]) -> bool:
        """ "In Greek mythology, Cisus was a king": who a figure of a story is, and no view or practice."""
        told = (match.last, match.last + 1) if match.form.slot not in ("people", "traditions") else ()
        if match.first != 1 or self._key(0) != "in" or not any(self._key(at) in _STORIES for at in told):
            return False
        return bool(_FIGURE.search(self.text[match.end :]))

    def _qualifies(self, match: Match[Slot, Entity]) -> bool:
        """ "Japanese families", "Chinese and Korean elders", "Japan's culture", "Hong Kong people"."""
        at = match.last
        if match.form.slot == "adjectives":
            at = self._past_coordination(at)
        reach = _REACH if match.form.slot == "adjectives" or match.possessive else 1
        for step in range(at + 1, at + 1 + reach):
            if step >= len(self.words) or _PAUSE.search(self._gap(step - 1)):
                return False
            if self.words[step].key in self.cue_words.determiners:
                return False
            if self.kinds.get(step) == "labels":
                return self._is_of_ways(step)
            if self._tells(step) and not self._is_proper(step):
                return True
        return False

    def _is_proper(self, at: int) -> bool:
        """ "the American Society of Composers": a capital inside a sentence that is no title."""
        if not self.words[at].word[:1].isupper():
            return False
        return 2 * sum(1 for token in self.words if token.word[:1].isupper()) <= len(self.words)

    def _past_coordination(self, at: int) -> int:
        """The last word of "Chinese, Korean and Japanese", from any of them."""
        while at + 1 < len(self.words):
            gap = self._gap(at).strip()
            onward = at + 1
            if self.words[onward].key in ("and", "or") and gap in ("", ","):
                onward += 1
            elif gap not in (",", "/", "-", "&"):
                break
            if onward not in self.firsts:
                break
            at = onward
            while at + 1 in self.slots and at + 1 not in self.firsts:
                at += 1
        return at

    def _is_a_people(self, match: Match[Slot, Entity]) -> bool:
        """ "the Japanese value", "many Chinese believe", "an Italian would": the adjective stands for the people."""
        before, onward = self._key(match.first - 1), match.last + 1
        if before not in ("the", "many", "most", "some", "a", "an") or onward >= len(self.words):
            return False
        if _PAUSE.search(self._gap(match.last)) or self.words[onward].key not in self.cue_words.doing:
            return False
        return not self._is_counted(match)

    def _is_typical(self, match: Match[Slot, Entity]) -> bool:
        """ "a traditional Ukrainian korovai": what is made or done so is a practice."""
        onward = match.last + 1
        if self._key(match.first - 1) not in self.cue_words.typical or onward >= len(self.words):
            return False
        return not _PAUSE.search(self._gap(match.last))

    def _is_heading(self, match: Match[Slot, Entity]) -> bool:
        """ "**Islamic**: the family ...": what follows is attributed to it."""
        return match.first == 0 and bool(_LABEL.match(self.text, match.end))

    def _is_counted(self, match: Match[Slot, Entity]) -> bool:
        """ "two Norwegians", "the Magyars went to war": parties of a census, a journey, a war hold no view."""
        if self._is_number(match.first - 1):
            return True
        return not self._tells_of_ways(match.first) and self._clause_holds(match.first, "deeds")

    def _acts(self, match: Match[Slot, Entity]) -> bool:
        """ "India values its elders"; not "the population of India values"."""
        if self._key(match.first - 1) in self.cue_words.located:
            return False
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
        if self.dated:
            return False
        adjective = match.form.slot == "adjectives"
        if adjective and (match.last + 1 >= len(self.words) or _PAUSE.search(self._gap(match.last))):
            return False
        at = match.first - 1
        while at >= 0 and not _HALT.search(self._gap(at)):
            word = self.words[at].key
            lived_in = word in self.cue_words.lived_in
            if lived_in or (word in self.cue_words.belongs and not adjective):
                if any(self._tells(step) and not _PAUSE.search(self._gap(step)) for step in range(max(0, at - 2), at)):
                    return not self._is_told(at)
                if lived_in:
                    telling = _TELLING if at > 0 and self._is_in_an_address(match) else (*_TELLING, "norms")
                    return self._clause_holds(at, *telling, reach=_NEAR) and not self._is_told(at)
                if at == 0 or self.words[at - 1].key not in self.cue_words.on_the_way:
                    return False
            elif word not in self.cue_words.on_the_way and at not in self.slots:
                break
            at -= 1
        return not adjective and self._is_heading(match) and self._tells_of_ways(match.last)

    def _is_in_an_address(self, match: Match[Slot, Entity]) -> bool:
        """ "in Ottawa, Ontario": a place and the one that it lies in."""
        onward = self.slots.get(match.last + 1) == "places" and self._gap(match.last).strip() == ","
        return onward or (
            self.slots.get(match.first - 1) in ("places", "homonyms") and self._gap(match.first - 1) == ", "
        )

    def _is_told(self, at: int) -> bool:
        """Whether the clause round word `at` tells of an event, and of no norm."""
        return self._clause_holds(at, "deeds") and not self._clause_holds(at, "norms")

    def _tells_of_ways(self, at: int) -> bool:
        """Whether the clause round word `at` names a holder, a practice, a view or a norm."""
        return self._clause_holds(at, *_TELLING, "norms", reach=_NEAR)

    def _clause_holds(self, at: int, *kinds: Kind, reach: int = sys.maxsize) -> bool:
        """Whether a word of these kinds stands in the clause round word `at`."""
        if not self.kinds:
            return False
        for direction in (1, -1):
            step = at + direction
            while 0 <= step < len(self.words) and abs(step - at) <= reach:
                if self.words[step].key in self.cue_words.turns or ";" in self._gap(min(step, step - direction)):
                    break
                if self.kinds.get(step) in kinds and not self._is_number(step - 1):
                    return True
                step += direction
        return False
