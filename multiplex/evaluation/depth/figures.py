"""How deep a text goes beyond naming: labels, holders, disagreement, reasons, generalisation; each a pure function.

A figure that does not exist is None, never 0: a text without a reference has no share of labels. Like the rules of the
cue `named` they read English.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from pydantic import BaseModel, ConfigDict

from multiplex.evaluation.depth.clauses import Clause, cut_clauses
from multiplex.evaluation.depth.holders import find_holders
from multiplex.evaluation.depth.words import DepthWords, shipped_depth_words
from multiplex.evaluation.extraction.references import Reference
from multiplex.evaluation.statistics import diversity
from multiplex.text.sentences import Sentence
from multiplex.text.tokens import count_words

Holders = Sequence[Mapping[str, frozenset[str]]]
"""By clause, the holders of each perspective that it names."""
_PAST = re.compile(r"\b(?:was|were|had|did|came|went|became|brought|built|fell|\w{2,}ed)\b")
_SUBJECT, _LEAST = 3, 5  # words before a clause's subject at most; words of a statement at least
_EVENT = 4  # words after the subject in which a past tense makes an event of the clause


class Depth(BaseModel):
    """The figures of depth of one text over a frame of K perspectives.

    Attributes:
        label_share: of the references, those that only the frame's own label makes, 0..1.
        specific: references with a people, person, school, text or practice.
        holders: by perspective of the frame, the effective number of distinct holders; 0.0 where none is named.
        plurality: their mean over the perspectives referred to.
        plural: perspectives of the frame with at least two distinct holders.
        disagreements: by perspective of the frame, clauses that set two of its holders against each other.
        reasons: by perspective of the frame, words of the clauses that give a reason.
        balance: evenness of `reasons`, percent of ln K; None where no reason is given.
        generalisations: sentences that say something of a whole people or tradition.
        generalised: of the sentences with a reference, 0..1.
        index: (1 - label_share) * ln(1 + plurality), at least 0: the one figure that sums up.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    label_share: float | None
    specific: int
    holders: dict[str, float]
    plurality: float | None
    plural: int
    disagreements: dict[str, int]
    reasons: dict[str, float]
    balance: float | None
    generalisations: int
    generalised: float | None
    index: float | None

    def scalars(self) -> dict[str, float | None]:
        """The figures as one number each, by the names of FIGURES."""
        return {
            "depth": self.index,
            "label_share": self.label_share,
            "specific": self.specific,
            "plurality": self.plurality,
            "plural": self.plural,
            "disagreement": sum(self.disagreements.values()),
            "balance": self.balance,
            "generalised": self.generalised,
        }


FIGURES = ("depth", "label_share", "specific", "plurality", "plural", "disagreement", "balance", "generalised")
"""Depth as one number each, in the order of its tables."""


def measure_depth(
    text: str,
    sentences: Sequence[Sentence],
    references: Sequence[Reference],
    frame: Sequence[str],
    cues: Sequence[str],
    *,
    words: DepthWords | None = None,
) -> Depth:
    """The figures of depth of a text, from the sentences it was split into and the references in them.

    Raises:
        ContentError: eval/depth.yaml is missing or wrong.
    """
    words = words if words is not None else shipped_depth_words()
    clauses = cut_clauses(text, sentences, references, cues, words)
    holders = [find_holders(clause, words) for clause in clauses]
    counted = [each for clause in clauses for each in clause.counted if each.perspective in frame]
    labels, specific = count_labels(counted, words)
    share = labels / (labels + specific) if counted else None
    numbers = count_holders(holders, frame)
    invoked = [numbers[name] for name in dict.fromkeys(each.perspective for each in counted)]
    plurality = math.fsum(invoked) / len(invoked) if invoked else None
    reasons = reason_words(clauses, frame, words)
    general = generalising(clauses, holders, frame, words)
    referring = len({each.sentence for each in counted})
    return Depth(
        label_share=share,
        specific=specific,
        holders=numbers,
        plurality=plurality,
        plural=sum(len(_every(holders, name)) > 1 for name in frame),
        disagreements=count_disagreements(clauses, holders, frame, words),
        reasons=reasons,
        balance=diversity.entropy_percent(reasons),
        generalisations=len(general),
        generalised=len(general) / referring if referring else None,
        index=None if share is None or plurality is None else depth_index(share, plurality),
    )


def depth_index(label_share: float, plurality: float) -> float:
    """(1 - label share) * ln(1 + plurality), at least 0.

    References that are more than labels, times the logarithm of how many holders speak for a perspective: the second
    holder adds more than the ninth. No weight was fitted.
    """
    return (1.0 - label_share) * math.log1p(plurality)


def count_labels(references: Iterable[Reference], words: DepthWords) -> tuple[int, int]:
    """How many (sentence, perspective) pairs only a label makes, and how many something specific."""
    pairs: dict[tuple[int, str], bool] = {}
    for each in references:
        key = (each.sentence, each.perspective)
        pairs[key] = pairs.get(key, True) and words.is_label(each.text, each.perspective)
    labels = sum(pairs.values())
    return labels, len(pairs) - labels


def count_holders(holders: Holders, frame: Sequence[str]) -> dict[str, float]:
    """By perspective, the Hill number of order 1 of its holders, exp(-sum_i p_i ln p_i); 0.0 where it has none.

    p_i is holder i's part of the clauses that name a holder of the perspective (Hill, Ecology 54, 1973): how many
    holders named equally often would be as diverse.
    """
    return {name: _hill(_every(holders, name)) for name in frame}


def _every(holders: Holders, perspective: str) -> Counter[str]:
    return Counter(each for clause in holders for each in clause.get(perspective, ()))


def _hill(counts: Counter[str]) -> float:
    total = counts.total()
    if not total:
        return 0.0
    return math.exp(-math.fsum(n / total * math.log(n / total) for n in counts.values()))


def count_disagreements(
    clauses: Sequence[Clause], holders: Holders, frame: Sequence[str], words: DepthWords
) -> dict[str, int]:
    """By perspective, the clauses that set two of its holders, named or not ("others", "critics"), against each other.

    One that says so by a verb ("Han Fei disagreed") may have the other in the clause before; one that only contrasts
    ("but", "while") holds both.
    """
    counts = dict.fromkeys(frame, 0)
    before: dict[str, frozenset[str]] = {}
    for clause, named in zip(clauses, holders, strict=True):
        opposes, contrasts = words.opposes.search(clause.text), words.contrasts.search(clause.text)
        party = bool(words.parties.search(clause.text))
        for name in clause.about:
            here = named.get(name, frozenset())
            sides = here | before.get(name, frozenset()) if opposes else here
            if name in counts and (opposes or contrasts) and (here or party) and len(sides) + party > 1:
                counts[name] += 1
        before = {name: named.get(name, frozenset()) for name in clause.about}
    return counts


def reason_words(clauses: Sequence[Clause], frame: Sequence[str], words: DepthWords) -> dict[str, float]:
    """By perspective, the words of clauses about it that give a reason; a clause's words are split among its own."""
    found = dict.fromkeys(frame, 0.0)
    for clause in clauses:
        own = [name for name in clause.about if name in found]
        if own and words.reasons.search(clause.text):
            for name in own:
                found[name] += count_words(clause.text) / len(own)
    return found


def generalising(
    clauses: Sequence[Clause], holders: Holders, frame: Sequence[str], words: DepthWords
) -> frozenset[int]:
    """The sentences that say of a whole people or tradition of the frame that it holds or does something.

    "Africans value community": it begins with the name, and no person or school holds the view, no quantifier limits
    it, no number or date gives a source, and it tells of no event.
    """
    found = set()
    for clause, named in zip(clauses, holders, strict=True):
        text = clause.text
        subject = next((each for each in clause.counted if each.cue == "named"), None)
        if subject is None or subject.perspective not in frame:
            continue
        if count_words(text[: subject.start - clause.start]) > _SUBJECT:
            continue
        rest = text[subject.end - clause.start :]
        if count_words(text) < _LEAST or re.search(r"\d", text) or words.quantifiers.search(text):
            continue
        peoples = {each.entity for each in clause.counted if each.cue == "named"}
        held = any(names - peoples for names in named.values())
        if not held and not _PAST.search(" ".join(rest.split()[:_EVENT])):
            found.add(clause.sentence)
    return frozenset(found)
