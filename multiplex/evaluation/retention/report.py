"""What a synthesis kept of its voices, and whether they differ at all: what entropy cannot see, put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic import ConfigDict

from multiplex.evaluation.extraction.gazetteer import Gazetteer, shipped_gazetteer
from multiplex.evaluation.extraction.references import Span
from multiplex.evaluation.renamed import Renamed
from multiplex.evaluation.retention.attribution import (
    Attribution,
    blind_attribution,
    homogeneity,
    homogenisation,
    parts_of_synthesis,
)
from multiplex.evaluation.retention.coverage import Coverage, measure_coverage
from multiplex.evaluation.retention.entailment import Entailment
from multiplex.evaluation.retention.perspective_classifier import PerspectiveClassifier


class Retention(Renamed):
    """What a synthesis kept of its voices.

    Attributes:
        coverage: how much of each voice stands in it: `overlap`, or `coverage` with an NLI model.
        voice_attribution: whether the voices can be told apart once the names are masked (attribution accuracy);
            None for perspectives that the classifier does not know.
        part_attribution: the same for each voice's part of the synthesis; None where fewer than two have one.
        homogeneity: mean cosine of the voices, two by two.
        homogenisation: what the last round did to it; None after one round.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    former_names: ClassVar = {"voice_attribution": "voices_told", "part_attribution": "parts_told"}
    coverage: Coverage
    voice_attribution: Attribution | None
    part_attribution: Attribution | None
    homogeneity: float | None
    homogenisation: float | None


def measure_retention(
    voices: Mapping[str, str],
    synthesis: str,
    scaffold: Sequence[Span] = (),
    *,
    leave_one_out: Mapping[str, str] | None = None,
    first_round: Mapping[str, str] | None = None,
    nli: Entailment | None = None,
    gazetteer: Gazetteer | None = None,
) -> Retention:
    """Everything that is measured between voices, at least two, and the synthesis made of them.

    `leave_one_out` are syntheses made without one voice, by that voice's perspective; `first_round` is what
    the voices said first, where they spoke again. `gazetteer` holds the forms that are masked; by default the
    one that ships.

    Raises:
        UsageError: as `measure_coverage`.
        ContentError: a calibration, gazetteer or head is missing or wrong.
    """
    from multiplex.llm.embeddings import Remembering

    embedder = Remembering()  # the measures read the same sentences
    known = set(PerspectiveClassifier.load().head.labels)
    gazetteer = gazetteer if gazetteer is not None else shipped_gazetteer()
    attributable = len(voices) > 1 and set(voices) <= known
    parts = (
        parts_of_synthesis(voices, synthesis, scaffold=scaffold, embedder=embedder, gazetteer=gazetteer)
        if attributable
        else {}
    )
    return Retention(
        coverage=measure_coverage(
            voices,
            synthesis,
            scaffold=scaffold,
            leave_one_out=leave_one_out,
            nli=nli,
            embedder=embedder,
            gazetteer=gazetteer,
        ),
        voice_attribution=blind_attribution(voices, embedder=embedder, gazetteer=gazetteer) if attributable else None,
        part_attribution=(
            blind_attribution(parts, among=tuple(voices), embedder=embedder, gazetteer=gazetteer) if parts else None
        ),
        homogeneity=homogeneity(voices, embedder=embedder, gazetteer=gazetteer),
        homogenisation=(
            homogenisation(first_round, voices, embedder=embedder, gazetteer=gazetteer) if first_round else None
        ),
    )
