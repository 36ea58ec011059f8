"""Finds which perspectives the sentences of a text refer to, and counts them."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from multiplex.errors import UsageError
from multiplex.evaluation.extraction.cue_words import CueWords, shipped_cue_words
from multiplex.evaluation.extraction.cues import Context
from multiplex.evaluation.extraction.facets import NO_FACETS, Facets
from multiplex.evaluation.extraction.frame import FRAME, HEADLINE_CUES, Cue
from multiplex.evaluation.extraction.frames import Frame, default_frame
from multiplex.evaluation.extraction.gazetteer import Entity, Gazetteer, Slot
from multiplex.evaluation.extraction.senses import Found, keep_supported
from multiplex.text.markup import blank_markup
from multiplex.text.matching import Match
from multiplex.text.sentences import Sentence, split
from multiplex.text.tokens import tokens

Span = tuple[int, int]
JUDGED = "judge:"
"""What an entity begins with that a judge found: its quotation follows, without case."""
_CARRIERS = frozenset(("and", "or"))
_PAUSE = re.compile(r"[,;:.!?—–()،؛，、；：。]")
_SMALL = re.compile(r"(?<![\w'’])[^\W\d_]")


@dataclass(frozen=True, slots=True)
class Reference:
    """One cue that refers to one perspective of a frame.

    `text` stands at characters `start` up to `end`; `sentence` is the number of its sentence, from
    0. `entity` is the gazetteer's id, empty for an `implied` cue; for a believer with a nationality it is the
    nationality's. `echo` says that the entity stands in the question's own words. `score` is 1 for what is written and
    a judge's probability for what is implied. `facets` say what the entity is apart from its home; `beside` are
    the regions that its sentence names, the nearest first.
    """

    start: int
    end: int
    text: str
    entity: str
    perspective: str
    cue: Cue
    sentence: int
    echo: bool = False
    score: float = 1.0
    facets: Facets = NO_FACETS
    beside: tuple[str, ...] = ()


def masked(text: str, scaffold: Sequence[Span]) -> str:
    """The text with its scaffold spans blanked, so that every place stays the same.

    A blanked span ends its block: where our code wrote the list mark or the heading, nothing else would keep the
    sentences on both sides apart.

    Raises:
        UsageError: a span does not lie in the text.
    """
    for start, end in scaffold:
        if not 0 <= start <= end <= len(text):
            raise UsageError(f"scaffold span ({start}, {end}) does not lie in a text of {len(text)} characters")
    for start, end in scaffold:
        text = text[:start] + ("\n\n" + " " * (end - start))[: end - start] + text[end:]
    return text


def with_capitals(question: str) -> str:
    """The question as it stands, and with a capital for every word: many ask "what does islam say" without one."""
    return f"{question} . {_SMALL.sub(lambda letter: letter.group().upper(), question)}" if question else ""


def quoted_in(references: Sequence[Reference], text: str) -> frozenset[str]:
    """The entities of a judge's references, which are quotations, of which every word stands in a text."""
    there = {token.key for token in tokens(text)}
    return frozenset(
        each.entity
        for each in references
        if each.entity.startswith(JUDGED) and {token.key for token in tokens(each.text)} <= there
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """A match that refers to something: its cue, and the words and facets that it has with a nationality before it."""

    match: Match[Slot, Entity]
    cue: Cue
    facets: Facets
    end: int
    entities: tuple[str, ...]


def find(
    text: str,
    gazetteer: Gazetteer,
    question: str = "",
    scaffold: Sequence[Span] = (),
    *,
    cue_words: CueWords | None = None,
    frame: Frame | None = None,
) -> tuple[Reference, ...]:
    """The named, concept and place references of a text, in order; none of them inside the scaffold.

    Each has one perspective: its home in the frame, by default `civilisations`. Nothing is inferred across sentences.

    Raises:
        UsageError: a scaffold span does not lie in the text.
    """
    return find_in(split(blank_markup(masked(text, scaffold))), gazetteer, question, cue_words=cue_words, frame=frame)


def find_in(
    sentences: Sequence[Sentence],
    gazetteer: Gazetteer,
    question: str = "",
    *,
    cue_words: CueWords | None = None,
    frame: Frame | None = None,
    foreign: Mapping[int, Sequence[Found]] | None = None,
    asked: frozenset[str] | None = None,
) -> tuple[Reference, ...]:
    """As `find`, over sentences already split; `Reference.sentence` is a place in this sequence.

    `foreign` has, by the number of a sentence in another language, what was found in it by that language's lists; there
    a nationality and a believer are two references. `asked` are the ids that the question names, where more than its
    English ones are known.
    """
    cue_words = cue_words if cue_words is not None else shipped_cue_words()
    frame = frame if frame is not None else default_frame()
    asked = gazetteer.ids_in(with_capitals(question)) if asked is None else asked
    foreign = foreign if foreign is not None else {}
    contexts: dict[int, Context] = {}
    found = []
    for number, sentence in enumerate(sentences):
        if number in foreign:
            found.append(list(foreign[number]))
            continue
        words = tokens(sentence.text)
        matches = gazetteer.match(sentence.text, words)
        if matches:
            contexts[number] = Context.of(sentence.text, words, matches, cue_words)
        found.append(_cued(contexts[number], matches) if matches else [])
    references = []
    for number, here in enumerate(keep_supported(found, sentences, gazetteer, foreign)):
        sentence = sentences[number]
        joined = _joined(contexts[number], here) if number in contexts else [_alone(match, cue) for match, cue in here]
        regions = _Regions(joined, sentence.text)
        for one in joined:
            beside = regions.beside(one)
            references.append(
                Reference(
                    start=sentence.start + one.match.start,
                    end=sentence.start + one.end,
                    text=sentence.text[one.match.start : one.end],
                    entity=one.match.form.entity.id,
                    perspective=frame.home(one.match.form.entity.id, one.facets, beside),
                    cue=one.cue,
                    sentence=number,
                    echo=asked.issuperset(one.entities),
                    facets=one.facets,
                    beside=beside,
                )
            )
    return tuple(references)


def in_frame(references: Iterable[Reference], frame: Frame) -> tuple[Reference, ...]:
    """The same references, each with its home in another frame."""
    return tuple(replace(one, perspective=frame.home(one.entity, one.facets, one.beside)) for one in references)


def cued_in(text: str, gazetteer: Gazetteer, cue_words: CueWords | None = None) -> list[Found]:
    """The English names and concepts of one sentence that refer to something, with their cues."""
    words = tokens(text)
    matches = gazetteer.match(text, words)
    if not matches:
        return []
    cue_words = cue_words if cue_words is not None else shipped_cue_words()
    return _cued(Context.of(text, words, matches, cue_words), matches)


def _cued(context: Context, matches: Iterable[Match[Slot, Entity]]) -> list[Found]:
    judged = [(match, context.cue(match)) for match in matches if match.form.slot != "trap"]
    return [(match, cue) for match, cue in judged if cue is not None]


def _alone(match: Match[Slot, Entity], cue: Cue) -> _Found:
    return _Found(match, cue, match.form.entity.facets, match.end, (match.form.entity.id,))


def _joined(context: Context, found: Sequence[Found]) -> list[_Found]:
    """The matches of one English sentence; a nationality and the believer or the rite that it qualifies are one.

    "Korean Christians" are East Asian by region and Christian by religion. In "Korean and Japanese Christians" each
    nationality is a reference.
    """
    joined: list[_Found] = []
    for match, cue in found:
        entity = match.form.entity
        before = _nationalities(context, joined, match) if entity.facets.religion else []
        if not before or (cue == "concept" and entity.facets.region):
            joined.append(_alone(match, cue))
            continue
        del joined[-len(before) :]
        for own in before:
            facets = replace(own.facets, religion=entity.facets.religion)
            last = own is before[-1]
            joined.append(
                _Found(
                    own.match,
                    own.cue if cue == "place" else cue,
                    facets,
                    match.end if last else own.end,
                    (*own.entities, entity.id),
                )
            )
    return joined


def _nationalities(context: Context, found: Sequence[_Found], match: Match[Slot, Entity]) -> list[_Found]:
    """The nationalities that stand right before a match, joined by commas, "and" or "or"."""
    held: list[_Found] = []
    first = match.first
    for one in reversed(found):
        if one.match.form.slot != "adjectives" or one.facets.religion or one.match.possessive:
            break
        between = context.text[one.match.end : context.words[first].start].strip()
        if between not in ("", "-") and (not held or between.strip(", ") not in ("", *_CARRIERS)):
            break
        held.insert(0, one)
        first = one.match.first
    return held


class _Regions:
    """Where one sentence names which region; a long sentence may name many, so they are found by their places."""

    def __init__(self, found: Sequence[_Found], text: str) -> None:
        self._pauses = [pause.start() for pause in _PAUSE.finditer(text)]
        self._all: dict[str, list[_Found]] = {}
        self._held: dict[str, list[_Found]] = {}
        self._own: dict[str, list[_Found]] = {}  # with the ideas and thinkers of one region
        for one in sorted(found, key=_place):
            is_name = one.match.form.slot != "concept" and bool(one.facets.region) and not one.facets.religion
            if is_name or len(one.facets.region) == 1:
                self._own.setdefault(one.facets.region[0], []).append(one)
            if is_name:
                self._all.setdefault(one.facets.region[0], []).append(one)
                if one.cue == "named":
                    self._held.setdefault(one.facets.region[0], []).append(one)

    def beside(self, one: _Found) -> tuple[str, ...]:
        """The regions that the sentence names besides one match, the nearest first.

        For an idea any name of a region; among the regions that are its own also an idea or a thinker of one
        ("Confucius on filial piety"); for a believer a name that holds a view.
        """
        nearest = {}
        for region in self._own:
            others = self._all if one.cue == "concept" else self._held
            named = (self._own if region in one.facets.region else others).get(region, [])
            at = bisect_left(named, _place(one), key=_place)
            around = [other for other in named[max(0, at - 1) : at + 2] if other is not one]
            if around:
                nearest[region] = min((*self._distance(one, other), _place(other)) for other in around)
        return tuple(sorted(nearest, key=nearest.__getitem__))

    def _distance(self, one: _Found, other: _Found) -> tuple[int, int]:
        """The pauses between two, then the characters: what the same clause names is nearer."""
        first, second = sorted((one, other), key=_place)
        pauses = bisect_left(self._pauses, second.match.start) - bisect_left(self._pauses, first.end)
        return pauses, second.match.start - first.end


def _place(one: _Found) -> int:
    return one.match.start


def pairs(
    references: Iterable[Reference], cues: Sequence[str] = HEADLINE_CUES, *, include_echo: bool = False
) -> frozenset[tuple[int, str]]:
    """The (sentence, perspective) pairs that hold at least one accepted cue."""
    return frozenset(
        (reference.sentence, reference.perspective)
        for reference in references
        if reference.cue in cues and (include_echo or not reference.echo)
    )


def count(
    references: Iterable[Reference],
    frame: Sequence[str] = FRAME,
    cues: Sequence[str] = HEADLINE_CUES,
    *,
    include_echo: bool = False,
) -> dict[str, int]:
    """How many sentences refer to each perspective of the frame; every perspective is a key.

    A sentence counts once for a perspective, however many of its cues it holds.
    """
    counts = dict.fromkeys(frame, 0)
    for _, perspective in pairs(references, cues, include_echo=include_echo):
        if perspective in counts:
            counts[perspective] += 1
    return counts
