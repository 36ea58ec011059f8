"""Whether voices can be told apart once the names are gone, and how alike they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from statistics import fmean
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from multiplex.errors import UsageError
from multiplex.evaluation.extraction.gazetteer import shipped_gazetteer
from multiplex.evaluation.extraction.references import Span
from multiplex.evaluation.retention.coverage import LEAST_WORDS, load_calibration
from multiplex.evaluation.retention.masking import claims
from multiplex.evaluation.retention.perspective_classifier import PerspectiveClassifier
from multiplex.evaluation.retention.similarity import Vectors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from multiplex.evaluation.extraction.gazetteer import Gazetteer
    from multiplex.llm.embeddings import Embedder


class Attribution(BaseModel):
    """How often a classifier that sees no name tells whose a text is.

    `predicted` holds, for each text, the perspective that it is taken for; `right` of the `n` are its own. `chance` is
    1/K, and `p` the exact binomial probability of at least as many right by chance, as if texts were independent.
    The three `relative` figures are the same after each perspective's mean score over the n texts is taken off, so
    that a classifier which takes all plain prose for one perspective can still tell which text is most like which.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    n: int
    chance: float
    right: int
    p: float
    predicted: dict[str, str]
    relative_right: int
    relative_p: float
    relative_predicted: dict[str, str]


def blind_attribution(
    texts: Mapping[str, str],
    *,
    among: Sequence[str] | None = None,
    embedder: Embedder | None = None,
    gazetteer: Gazetteer | None = None,
    classifier: PerspectiveClassifier | None = None,
) -> Attribution | None:
    """Whether each perspective's text can be told as its own, cues masked; None where fewer than two hold a word.

    The classifier, restricted to the K perspectives of `among` (by default those that have a text), takes a
    text for the perspective with the highest mean log-probability over its sentences. It was trained on other texts
    than voices, so right answers show that voices differ as their perspectives do; wrong ones show little.

    Raises:
        UsageError: fewer than two perspectives, one that the classifier does not know, or a text of a perspective
            that is not among them.
        ContentError: the classifier or a gazetteer is missing or wrong.
    """
    import numpy as np
    from scipy.stats import binomtest

    classifier = classifier if classifier is not None else PerspectiveClassifier.load()
    names = tuple(texts) if among is None else tuple(among)
    labels = classifier.head.labels
    if len(names) < 2:
        raise UsageError(f"blind attribution: {len(names)} perspectives; there must be two to tell apart")
    for name in (*names, *texts):
        if name not in labels or name not in names:
            known = ", ".join(label for label in labels if label in names or among is None)
            raise UsageError(f"blind attribution: cannot tell {name!r}; perspectives to choose from: {known}")
    said = _bare(texts, gazetteer)
    if len(said) < 2:  # nothing to tell it from, and less its own mean it would score alike for all
        return None
    vectors = Vectors.of((text for sentences in said.values() for text in sentences), embedder)
    columns = [labels.index(name) for name in names]
    scores = np.stack([_score(classifier, vectors.of_all(sentences), columns) for sentences in said.values()])
    chance = 1 / len(names)

    def told(table: NDArray[np.float64]) -> tuple[int, float, dict[str, str]]:
        predicted = {name: names[int(row.argmax())] for name, row in zip(said, table, strict=True)}
        right = sum(name == taken for name, taken in predicted.items())
        return right, float(binomtest(right, len(said), chance, alternative="greater").pvalue), predicted

    right, p, predicted = told(scores)
    relative_right, relative_p, relative_predicted = told(scores - scores.mean(axis=0))
    return Attribution(
        n=len(said),
        chance=chance,
        right=right,
        p=p,
        predicted=predicted,
        relative_right=relative_right,
        relative_p=relative_p,
        relative_predicted=relative_predicted,
    )


def parts_of_synthesis(
    voices: Mapping[str, str],
    synthesis: str,
    *,
    scaffold: Sequence[Span] = (),
    threshold: float | None = None,
    embedder: Embedder | None = None,
    gazetteer: Gazetteer | None = None,
) -> dict[str, str]:
    """For each voice the sentences of the synthesis that match a claim of it best, above the threshold.

    Cues are masked for the matching and stand in the result. A voice without a part is absent; a sentence that is near
    to no claim belongs to none. `threshold` is a cosine, by default the calibrated one.

    Raises:
        UsageError: a span is not in the text.
        ContentError: `eval/coverage.json` or a gazetteer is missing or wrong.
    """
    threshold = threshold if threshold is not None else load_calibration().threshold
    gazetteer = gazetteer if gazetteer is not None else shipped_gazetteer()
    owned = [(name, one.bare) for name, text in voices.items() for one in claims(text, gazetteer, least=LEAST_WORDS)]
    sentences = claims(synthesis, gazetteer, scaffold)
    if not owned or not sentences:
        return {}
    bare = [one.bare for one in sentences]
    vectors = Vectors.of([*bare, *(text for _, text in owned)], embedder)
    cosines = vectors.cosines(bare, [text for _, text in owned])
    parts: dict[str, list[str]] = {}
    for sentence, row in zip(sentences, cosines, strict=True):
        best = int(row.argmax())
        if row[best] > threshold:
            parts.setdefault(owned[best][0], []).append(sentence.text)
    return {name: "\n".join(parts[name]) for name in voices if name in parts}


def homogeneity(
    voices: Mapping[str, str], *, embedder: Embedder | None = None, gazetteer: Gazetteer | None = None
) -> float | None:
    """Mean cosine over all pairs of voices, cues masked; None for fewer than two that hold a word.

    A voice's embedding is the mean of its sentences' embeddings, at length 1. High means that the voices say much the
    same, whatever names they use. Voices on one question share its subject, so compare it only on the same questions.
    """
    import numpy as np

    said = _bare(voices, gazetteer)
    if len(said) < 2:
        return None
    vectors = Vectors.of((text for sentences in said.values() for text in sentences), embedder)
    means = [vectors.of_all(sentences).astype(np.float64).mean(axis=0) for sentences in said.values()]
    rows = [mean / np.linalg.norm(mean) for mean in means]
    return fmean(float(one @ other) for one, other in combinations(rows, 2))


def homogenisation(
    first_round: Mapping[str, str],
    later_round: Mapping[str, str],
    *,
    embedder: Embedder | None = None,
    gazetteer: Gazetteer | None = None,
) -> float | None:
    """What a later round does to homogeneity: later minus first, over the voices that spoke in both.

    Positive where the voices have grown alike. None where fewer than two spoke in both.
    """
    both = [name for name in first_round if name in later_round]
    before = homogeneity({name: first_round[name] for name in both}, embedder=embedder, gazetteer=gazetteer)
    after = homogeneity({name: later_round[name] for name in both}, embedder=embedder, gazetteer=gazetteer)
    return None if before is None or after is None else after - before


def _bare(texts: Mapping[str, str], gazetteer: Gazetteer | None) -> dict[str, list[str]]:
    """The masked sentences of each text that has any."""
    gazetteer = gazetteer if gazetteer is not None else shipped_gazetteer()
    found = {name: [one.bare for one in claims(text, gazetteer)] for name, text in texts.items()}
    return {name: sentences for name, sentences in found.items() if sentences}


def _score(classifier: PerspectiveClassifier, rows: NDArray[np.float32], columns: Sequence[int]) -> NDArray[np.float64]:
    """Mean log-probability of each column's class over the rows."""
    import numpy as np

    chances = classifier.head.probabilities(rows)[:, list(columns)]
    scores: NDArray[np.float64] = np.log(np.maximum(chances, np.finfo(np.float64).tiny)).mean(axis=0)
    return scores
