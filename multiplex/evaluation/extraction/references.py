"""Finds which perspectives the sentences of a text refer to, and counts them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from multiplex.errors import UsageError
from multiplex.evaluation.extraction.cue_words import CueWords, shipped_cue_words
from multiplex.evaluation.extraction.cues import Context
from multiplex.evaluation.extraction.frame import FRAME, HEADLINE_CUES, Cue
from multiplex.evaluation.extraction.gazetteer import Entity, Gazetteer, Slot
from multiplex.text.matching import Match
from multiplex.text.sentences import Sentence, split
from multiplex.text.tokens import tokens

Span = tuple[int, int]
_REGIONLESS = frozenset(("christian", "secular"))
_ASIAN = frozenset(("east_asian", "south_asian", "southeast_asian"))


@dataclass(frozen=True, slots=True)
class Reference:
    """One cue that refers to one perspective.

    `text` stands at characters `start` up to `end`; `sentence` is the number of its sentence, from
    0. `entity` is the gazetteer's id, empty for an `implied` cue. `echo` says that the entity
    stands in the question's own words. `score` is 1 for what is written and the classifier's
    probability for what is implied.
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


def find(
    text: str,
    gazetteer: Gazetteer,
    question: str = "",
    scaffold: Sequence[Span] = (),
    *,
    cue_words: CueWords | None = None,
) -> tuple[Reference, ...]:
    """The named, concept and place references of a text, in order; none of them inside the scaffold.

    An entity of two perspectives gives one reference to each, but for one that the Asian perspectives
    share in a sentence that names where. Nothing is inferred across sentences.

    Raises:
        UsageError: a scaffold span does not lie in the text.
    """
    return find_in(split(masked(text, scaffold)), gazetteer, question, cue_words=cue_words)


def find_in(
    sentences: Sequence[Sentence],
    gazetteer: Gazetteer,
    question: str = "",
    *,
    cue_words: CueWords | None = None,
    foreign: Mapping[int, Sequence[tuple[Match[Slot, Entity], Cue]]] | None = None,
    asked: frozenset[str] | None = None,
) -> tuple[Reference, ...]:
    """As `find`, over sentences already split; `Reference.sentence` is a place in this sequence.

    `foreign` has, by the number of a sentence in another language, what was found in it by that language's lists;
    `asked` the ids that the question names, where more than its English ones are known.
    """
    cue_words = cue_words if cue_words is not None else shipped_cue_words()
    asked = gazetteer.ids_in(question) if asked is None else asked
    found = []
    for number, sentence in enumerate(sentences):
        if foreign is not None and number in foreign:
            cues = _giving_way(foreign[number])
        else:
            cues = cued_in(sentence.text, gazetteer, cue_words)
            if not cues:
                continue
        regions = frozenset(
            name for match, _ in cues if match.form.entity.region for name in match.form.entity.perspectives
        )
        for match, cue in cues:
            entity = match.form.entity
            for perspective in _meant(entity, regions):
                found.append(
                    Reference(
                        start=sentence.start + match.start,
                        end=sentence.start + match.end,
                        text=sentence.text[match.start : match.end],
                        entity=entity.id,
                        perspective=perspective,
                        cue=cue,
                        sentence=number,
                        echo=entity.id in asked,
                    )
                )
    return tuple(found)


def cued_in(
    text: str, gazetteer: Gazetteer, cue_words: CueWords | None = None
) -> list[tuple[Match[Slot, Entity], Cue]]:
    """The English names and concepts of one sentence that refer to a perspective, with their cues."""
    words = tokens(text)
    matches = gazetteer.match(text, words)
    if not matches:
        return []
    cue_words = cue_words if cue_words is not None else shipped_cue_words()
    return _cues(Context.of(text, words, matches, cue_words), matches)


def _cues(context: Context, matches: Iterable[Match[Slot, Entity]]) -> list[tuple[Match[Slot, Entity], Cue]]:
    """The matches of one sentence that refer to a perspective, with their cues.

    `christian` and `secular` stand for what no region is credited with: in "Christmas in Filipino
    culture" the feast is the Filipinos'. A Christian idea gives way to any region, a church or a
    believer to one that is more than a place.
    """
    judged = [(match, context.cue(match)) for match in matches if match.form.entity.perspectives]
    return _giving_way([(match, cue) for match, cue in judged if cue is not None])


def _giving_way(found: Sequence[tuple[Match[Slot, Entity], Cue]]) -> list[tuple[Match[Slot, Entity], Cue]]:
    """The matches of one sentence without the Christian and secular ones that a region is credited with."""
    regional = {cue for match, cue in found if match.form.entity.region and not _is_regionless(match)}
    return [
        (match, cue)
        for match, cue in found
        if not (_is_regionless(match) and ("named" in regional or (cue == "concept" and regional)))
    ]


def _meant(entity: Entity, regions: frozenset[str]) -> tuple[str, ...]:
    """The perspectives that an entity refers to in a sentence that names these regions.

    What the three Asian perspectives share is the one's that the sentence names: "Buddhism" is all
    of theirs, "Buddhism in Thailand" is southeast_asian.
    """
    named = regions & _ASIAN
    if entity.region or named.isdisjoint(entity.perspectives):
        return entity.perspectives
    return tuple(name for name in entity.perspectives if name in named or name not in _ASIAN)


def _is_regionless(match: Match[Slot, Entity]) -> bool:
    return _REGIONLESS.issuperset(match.form.entity.perspectives)


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
