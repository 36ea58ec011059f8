"""Which claims stand in a text: by similarity of meaning, by entailment, or word for word."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from multiplex.evaluation.retention.entailment import CONTRADICTION, ENTAILMENT
from multiplex.evaluation.retention.masking import Claim
from multiplex.text.tokens import key, tokens

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from multiplex.evaluation.retention.entailment import Entailment
    from multiplex.llm.embeddings import Embedder

CANDIDATES = 3  # sentences that an NLI model reads for a claim
VERBATIM = 0.98  # the cosine from which a sentence is a copy
_COPIED_WORDS = 4  # of a sentence that stands inside a claim ...
_COPIED_PART = 0.8  # ... and its least part of the claim's words: a claim less its opener is a copy too


@dataclass(frozen=True)
class Vectors:
    """The embeddings of many sentences, each embedded once; rows have length 1."""

    rows: Mapping[str, NDArray[np.float32]]

    @classmethod
    def of(cls, texts: Iterable[str], embedder: Embedder | None = None) -> Vectors:
        """Embeds the texts in one call, by default with an embedder of its own: they share the model anyway."""
        from multiplex.llm.embeddings import Embedder

        unique = list(dict.fromkeys(texts))
        embedder = embedder if embedder is not None else Embedder()
        return cls(dict(zip(unique, embedder.encode(unique), strict=True)))

    def of_all(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Shape (n, 384); KeyError for a text that was not embedded."""
        import numpy as np

        from multiplex.llm.embeddings import DIMENSIONS

        return np.stack([self.rows[text] for text in texts]) if texts else np.zeros((0, DIMENSIONS), np.float32)

    def cosines(self, claims: Sequence[str], sentences: Sequence[str]) -> NDArray[np.float32]:
        """Shape (claims, sentences), -1..1."""
        cosines: NDArray[np.float32] = self.of_all(claims) @ self.of_all(sentences).T
        return cosines


def best_cosines(claims: Sequence[Claim], sentences: Sequence[Claim], vectors: Vectors) -> list[float]:
    """For each claim the cosine of its nearest sentence, cues masked in both; there is at least one sentence."""
    nearest = vectors.cosines([one.bare for one in claims], [one.bare for one in sentences]).max(axis=1)
    return [float(cosine) for cosine in nearest]


def entailed(claims: Sequence[Claim], sentences: Sequence[Claim], vectors: Vectors, nli: Entailment) -> list[bool]:
    """Whether one of the CANDIDATES nearest sentences says a claim, cues masked in both.

    It does where it entails the claim (entailment is the likeliest class with the sentence as premise) and the claim
    does not contradict it (contradiction is not the likeliest class with the claim as premise): a sentence that says
    more than the claim counts, one that the claim rules out does not.
    """
    cosines = vectors.cosines([one.bare for one in claims], [one.bare for one in sentences])
    pairs = [(i, int(j)) for i, row in enumerate(cosines) for j in (-row).argsort(kind="stable")[:CANDIDATES]]
    said = [claims[i].bare for i, _ in pairs]
    heard = [sentences[j].bare for _, j in pairs]
    onward = nli.score(heard, said).argmax(axis=1)
    back = nli.score(said, heard).argmax(axis=1)
    found = {
        i
        for (i, _), there, here in zip(pairs, onward, back, strict=True)
        if there == ENTAILMENT and here != CONTRADICTION
    }
    return [i in found for i in range(len(claims))]


def find_copies(claims: Sequence[Claim], sentences: Sequence[Claim], vectors: Vectors) -> list[bool]:
    """Whether a claim stands (nearly) word for word in the text, its cues too.

    Its words, whatever their case and punctuation, stand in a row inside a sentence, or a sentence makes up nearly
    all of it, or the cosine of the two, cues and all, is at least VERBATIM.
    """
    cosines = vectors.cosines([one.text for one in claims], [one.text for one in sentences])
    heard = [_words(one.text) for one in sentences]
    return [
        bool((row >= VERBATIM).any()) or any(_copies(_words(one.text), words) for words in heard)
        for one, row in zip(claims, cosines, strict=True)
    ]


def _words(text: str) -> tuple[str, ...]:
    return tuple(key(token.word) for token in tokens(text))


def _copies(claim: tuple[str, ...], sentence: tuple[str, ...]) -> bool:
    long_enough = len(sentence) >= max(_COPIED_WORDS, _COPIED_PART * len(claim))
    return _inside(claim, sentence) or (long_enough and _inside(sentence, claim))


def _inside(short: tuple[str, ...], long: tuple[str, ...]) -> bool:
    return f" {' '.join(short)} " in f" {' '.join(long)} "
