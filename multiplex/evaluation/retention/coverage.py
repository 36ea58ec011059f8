"""Coverage: how much of what each voice said stands in the synthesis, which entropy cannot see.

A text that says "X culture values family" of every X has full entropy and says nothing that any voice said.
`overlap` is the share of a voice's claims (its sentences) that come near some sentence of the synthesis, all names
and concepts masked, so that naming a culture is worth nothing. Embeddings cannot tell a claim from its negation, and
masked cues cannot tell whose name a claim stands under: overlap sees neither. `coverage` puts the candidates before a
natural-language-inference model that the user names, and so sees negation; attribution it does not see either.
Claims of other voices on the same question come near too; net figures take that out (`Covered.net`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from multiplex.content import content_root, read_text
from multiplex.errors import ContentError, UsageError, first_invalid
from multiplex.evaluation.extraction.gazetteer import shipped_gazetteer
from multiplex.evaluation.extraction.references import Span
from multiplex.evaluation.renamed import Renamed
from multiplex.evaluation.retention.entailment import Entailment
from multiplex.evaluation.retention.masking import Claim, claims
from multiplex.evaluation.retention.similarity import Vectors, best_cosines, entailed, find_copies
from multiplex.evaluation.statistics.diversity import entropy_percent

if TYPE_CHECKING:
    from multiplex.evaluation.extraction.gazetteer import Gazetteer
    from multiplex.llm.embeddings import Embedder

LEAST_WORDS = 4  # of a claim; "It depends." claims nothing

Kind = Literal["overlap", "coverage"]
_Share = Annotated[float, Field(ge=0, le=1)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Calibration(_Frozen):
    """The shipped null: claims against syntheses that were made without their voice (`eval/coverage.json`).

    `threshold` is the 95th percentile of their best-match cosines, `null_share` the share of the `claims` above it,
    `model` what spoke and synthesized.
    """

    about: str
    threshold: Annotated[float, Field(gt=0, lt=1)]
    null_share: Annotated[float, Field(ge=0, lt=1)]
    model: Annotated[str, Field(min_length=1)]
    claims: Annotated[int, Field(ge=1)]


class Covered(_Frozen, Renamed):
    """One voice in the synthesis. Shares are of its `claims`; a figure that does not exist is None.

    `without` is the share that a synthesis made without this voice reaches, by the run's own null or (`null` says
    which) the shipped one. `net` = (share - without) / (1 - without): 1 where everything is there, 0 where no more
    than without the voice, negative where less. `extractiveness` is the share that stands there (nearly) word for word.
    """

    former_names: ClassVar = {"extractiveness": "copied"}
    claims: int
    covered: int
    share: _Share | None
    without: _Share | None
    null: Literal["run", "shipped"] | None
    net: float | None
    extractiveness: _Share | None


class Coverage(_Frozen, Renamed):
    """How much of every voice stands in the synthesis.

    `threshold` is the cosine from which a claim counts; None for `coverage`, where the NLI model decides. `mean` and
    `mean_net` average the perspectives that have a claim, `extractiveness` all claims. `evenness`, 0..1, is
    the entropy of the nets over those perspectives, negative ones as 0, divided by its maximum: 1 where every voice
    is equally there; None where none is there or fewer than two have a net.
    """

    former_names: ClassVar = {"extractiveness": "copied"}
    kind: Kind
    threshold: float | None
    perspectives: dict[str, Covered]
    mean: _Share | None
    mean_net: float | None
    evenness: _Share | None
    extractiveness: _Share | None

    @property
    def by_construction(self) -> bool:
        """Whether most claims are copies: such a synthesis overlaps however it was made, so tables keep it apart."""
        return self.extractiveness is not None and self.extractiveness > 0.5


def load_calibration(path: Path | None = None) -> Calibration:
    """The calibration of a JSON file, by default the one that ships.

    Raises:
        ContentError: it is absent or wrong; the field is named.
    """
    path = path if path is not None else content_root() / "eval" / "coverage.json"
    try:
        return Calibration.model_validate_json(read_text(path))
    except ValidationError as error:
        wrong = first_invalid(error)
        raise ContentError(path, wrong.problem, field=wrong.field) from error


def measure_coverage(
    voices: Mapping[str, str],
    synthesis: str,
    *,
    scaffold: Sequence[Span] = (),
    leave_one_out: Mapping[str, str] | None = None,
    nli: Entailment | str | None = None,
    embedder: Embedder | None = None,
    gazetteer: Gazetteer | None = None,
    calibration: Calibration | None = None,
) -> Coverage:
    """How much of each voice stands in the synthesis: `overlap`, or with an NLI model `coverage`.

    Args:
        voices: what each perspective said, without what our code forced into it; lost voices are absent. A voice's
            claims are its sentences of at least LEAST_WORDS words.
        synthesis: the answer made of them.
        scaffold: (start, end) of what our own code wrote into the synthesis; it is not compared.
        leave_one_out: for a perspective, the synthesis of this run that was made without it, less its scaffold
            (`masking.visible`). For one that is not there the shipped share stands in, but for `overlap` only: it
            says nothing of an NLI model, so the net of a `coverage` without them does not exist.
        nli: an NLI model, or the name of one, that decides what is covered (`similarity.entailed`).
        embedder: by default a new one; instances share the model.
        gazetteer: whose forms are masked; by default the one that ships.
        calibration: by default the one that ships.

    Raises:
        UsageError: there is no voice, a synthesis holds no word outside its scaffold, a leave-one-out
            synthesis belongs to no voice, a span is not in the text, or the NLI model cannot be used.
        ContentError: `eval/coverage.json` or a gazetteer is missing or wrong.
    """
    leave_one_out = leave_one_out or {}
    if not voices:
        raise UsageError("coverage: no voice is given; give what each perspective said")
    for name in leave_one_out:
        if name not in voices:
            raise UsageError(
                f"coverage: leave_one_out is given for {name!r}, which is none of the voices {', '.join(voices)}"
            )
    calibration = calibration if calibration is not None else load_calibration()
    gazetteer = gazetteer if gazetteer is not None else shipped_gazetteer()
    judge = Entailment(nli) if isinstance(nli, str) else nli
    said = {name: claims(text, gazetteer, least=LEAST_WORDS) for name, text in voices.items()}
    whole = _sentences("the synthesis", claims(synthesis, gazetteer, scaffold))
    missing = {
        name: _sentences(f"the leave-one-out synthesis of {name!r}", claims(text, gazetteer))
        for name, text in leave_one_out.items()
    }
    every = [one for part in (*said.values(), whole, *missing.values()) for one in part]
    vectors = Vectors.of([text for one in every for text in (one.bare, one.text)], embedder)

    def covered(spoken: Sequence[Claim], text: Sequence[Claim]) -> list[bool]:
        if judge is not None:
            return entailed(spoken, text, vectors, judge)
        return [cosine > calibration.threshold for cosine in best_cosines(spoken, text, vectors)]

    perspectives = {}
    for name, spoken in said.items():
        null: tuple[Literal["run", "shipped"], float] | None = None
        if spoken and name in missing:
            null = ("run", fmean(covered(spoken, missing[name])))
        elif spoken and judge is None:
            null = ("shipped", calibration.null_share)
        perspectives[name] = _covered(covered(spoken, whole), find_copies(spoken, whole, vectors), null)
    return _summed("overlap" if judge is None else "coverage", calibration.threshold, perspectives)


def net(share: float | None, without: float | None) -> float | None:
    """(C_k - C_without_k) / (1 - C_without_k), at most 1; None where a share is None or nothing is left to reach."""
    if share is None or without is None or without == 1:
        return None
    return (share - without) / (1 - without)


def evenness(nets: Mapping[str, float | None]) -> float | None:
    """Entropy of the nets, negative ones as 0, over its maximum ln K, K the perspectives that have a net; 0..1.

    None where no net is positive or fewer than two perspectives have one.
    """
    positive = {name: max(0.0, value) for name, value in nets.items() if value is not None}
    percent = entropy_percent(positive) if len(positive) > 1 else None
    return None if percent is None else percent / 100


def _sentences(what: str, found: list[Claim]) -> list[Claim]:
    if not found:
        raise UsageError(f"coverage: {what} holds no word to compare with")
    return found


def _covered(found: list[bool], verbatim: list[bool], null: tuple[Literal["run", "shipped"], float] | None) -> Covered:
    share = fmean(found) if found else None
    return Covered(
        claims=len(found),
        covered=sum(found),
        share=share,
        without=null[1] if null else None,
        null=null[0] if null else None,
        net=net(share, null[1] if null else None),
        extractiveness=fmean(verbatim) if verbatim else None,
    )


def _summed(kind: Kind, threshold: float, perspectives: dict[str, Covered]) -> Coverage:
    every = perspectives.values()
    nets = {name: one.net for name, one in perspectives.items()}
    total = sum(one.claims for one in every)
    return Coverage(
        kind=kind,
        threshold=threshold if kind == "overlap" else None,
        perspectives=perspectives,
        mean=_mean(one.share for one in every),
        mean_net=_mean(nets.values()),
        evenness=evenness(nets),
        extractiveness=sum(one.claims * one.extractiveness for one in every if one.extractiveness is not None) / total
        if total
        else None,
    )


def _mean(values: Iterable[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return fmean(there) if there else None
