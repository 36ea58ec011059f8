"""What the statistics of a run come to, as frozen models that a report renders and JSON holds.

Units, unless an attribute says otherwise: entropies are percent (0..100), their differences percentage points; shares,
probabilities and `referring` are 0..1. An `Estimate` is a figure with its 95% interval, and each of the three is None
where it does not exist. Intervals are over questions, drawn anew within each domain; the epochs of a question are
averaged first.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from multiplex.bench.analysis.figure_change import FigureChange, FigureName
from multiplex.evaluation.extraction.frames import DEFAULT
from multiplex.evaluation.statistics.summary import Estimate, Weighting

WeightingName = Literal["reference", "presence", "words", "unprompted"]
"""How references are counted; `unprompted` by reference, without the entities that stood in the prompt or question."""
ReadingName = Literal["macro", "macro0", "micro"]
PRIMARY: tuple[WeightingName, ReadingName] = ("reference", "macro0")
"""The one figure that claims are made of, fixed beforehand: it exists for every answer, so no question is dropped."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class AttributionAccuracy(_Frozen):
    """Blind attribution summed over answers: how many texts a classifier that sees no name gives to their own voice.

    Attributes:
        texts: voices, or their parts of the synthesis.
        right, relative_right: of them; `relative` after each perspective's mean score is taken off.
        chance: the mean of 1/K, 0..1.
    """

    texts: int
    right: int
    relative_right: int
    chance: float


class CouncilFigures(_Frozen):
    """What the syntheses of one condition kept of their voices, and whether the voices differ: means over questions.

    Attributes:
        answers: with at least two voices, which these figures stand on.
        kind: `overlap`, or `coverage` where an NLI model decided.
        coverage, net, evenness, extractiveness: of `Coverage.mean`, `.mean_net`, `.evenness`, `.extractiveness`; 0..1,
            `net` may be negative.
        by_construction: the share of answers most of whose claims are copies, 0..1: they overlap however made.
        homogeneity: mean cosine of the voices two by two, -1..1; high where they say much the same.
        voice_attribution, part_attribution: blind attribution; None where the classifier does not know
            the voices' perspectives.
    """

    answers: int
    kind: Literal["overlap", "coverage"]
    coverage: Estimate
    net: Estimate
    evenness: Estimate
    extractiveness: Estimate
    by_construction: float
    homogeneity: Estimate
    voice_attribution: AttributionAccuracy | None
    part_attribution: AttributionAccuracy | None


class Group(_Frozen):
    """The questions of one condition that share a domain, or that are cued or not.

    Attributes:
        name: the domain; or `cued`, `not cued`.
        questions, answers, references: what the figures stand on.
        macro, macro0, micro: entropy by reference, percent.
        shares: of the counts added over answers, by reference, 0..1; all 0.0 where `references` is 0.
    """

    name: str
    questions: int
    answers: int
    references: int
    macro: Estimate
    macro0: Estimate
    micro: Estimate
    shares: dict[str, float]


class Condition(_Frozen):
    """One model under one strategy.

    Attributes:
        units: of the run; `measured` + `wordless` + `unread` (names) + `unscored` + `failed` + `pending` of them.
        measured: answers that the figures stand on.
        wordless: answers that hold no word to measure.
        unread: of names, concepts, labels, depth and tone, in how many answers it was not measured, by language
            code; those whose names are not read are in no figure.
        unscored: answers that were not measured yet.
        failures: failed units by kind.
        short: answers with at least one lost voice; `lost`: lost voices by perspective.
        questions: with at least one measured answer; the epochs of each are averaged.
        references: in all answers together, of the frame, with an accepted cue.
        referring: the share of questions with a reference in any epoch, 0..1.
        weightings: by reference, by presence, by words.
        corrected: shares by reference corrected by the extractor's confusion matrix, where its recalls differ too much
            (`ExtractorReliability`); else None.
        unprompted_macro, unprompted_macro0: entropy without the entities that stood in the prompt or question, percent.
        never: perspectives of the frame that no answer refers to.
        expected_perspectives: E[S_5] of all references together; `..._mean`: over the answers with at least five.
        excluded, berger_parker, out_of_frame: 0..1; `per_100_words`: references.
        depth: means of `Depth.scalars` over answers, by the names of `depth.figures.FIGURES`.
        sentiment: positive, neutral, negative: mean probabilities, 0..1; None where no tone was read.
        stance: by perspective, the same over the sentences that refer to it.
        labels: the share of answers whose likeliest tone is this one; only to stand beside the papers' figures.
        words, seconds, calls: of an answer, means.
        input_tokens, output_tokens: of an answer, means over those whose endpoint reported them.
        tokens_reported: the answers that these stand on.
        tokens_per_point, seconds_per_point: mean tokens (in and out), seconds of an answer by its primary figure;
            None where that is 0.
        council: None for strategies of one call.
        domains, cued: the figures apart; empty where nothing is known to part by.
    """

    model: str
    strategy: str
    units: int
    measured: int
    wordless: int
    unread: dict[str, dict[str, int]]
    unscored: int
    failed: int
    pending: int
    failures: dict[str, int]
    short: int
    lost: dict[str, int]
    questions: int
    references: int
    referring: Estimate
    weightings: dict[str, Weighting]
    corrected: dict[str, float] | None
    unprompted_macro: Estimate
    unprompted_macro0: Estimate
    never: tuple[str, ...]
    expected_perspectives: float | None
    expected_perspectives_mean: Estimate
    excluded: Estimate
    berger_parker: Estimate
    out_of_frame: Estimate
    per_100_words: Estimate
    depth: dict[str, Estimate]
    sentiment: dict[str, Estimate] | None
    stance: dict[str, dict[str, Estimate]]
    labels: dict[str, Estimate] | None
    words: Estimate
    seconds: Estimate
    calls: Estimate
    input_tokens: Estimate
    output_tokens: Estimate
    tokens_reported: int
    tokens_per_point: float | None
    seconds_per_point: float | None
    council: CouncilFigures | None
    domains: tuple[Group, ...]
    cued: tuple[Group, ...]

    @property
    def primary(self) -> Estimate:
        """Entropy by reference, `macro0`: what claims are made of."""
        return self.weightings["reference"].macro0


class Contrast(_Frozen):
    """Multiplex minus another strategy on the same questions.

    Attributes:
        strategy: what is subtracted.
        questions: answered by both; `dropped` of them count in no `macro`, a condition having no entropy there.
        difference: percentage points.
        p: two-sided, by swapping whole answers within a question; None where there is no difference.
        primary: whether it is what claims are made of; all else is exploratory.
    """

    model: str
    strategy: str
    weighting: WeightingName
    reading: ReadingName
    questions: int
    dropped: int
    difference: Estimate
    p: float | None
    primary: bool


class LeftOut(_Frozen):
    """A primary contrast again without the questions of one domain.

    Attributes:
        beats: whether multiplex is above with p < alpha.
        flips: whether that differs from the contrast over all domains, and not for want of questions alone.
    """

    model: str
    strategy: str
    domain: str
    questions: int
    difference: Estimate
    p: float | None
    beats: bool
    flips: bool


class SuperiorityClaim(_Frozen):
    """Whether multiplex beats every control, for one model.

    Attributes:
        holds: True: above each one, with the largest p, Holm-adjusted over models, below alpha, and every control
            was run. False: some control that was run, on questions enough to show it, is not beaten. None: nothing
            speaks against it, but a control is absent, the questions are too few for any p below alpha, or nothing
            can be compared.
        tested: controls that multiplex was compared with on the same questions.
        absent: the other controls, which leave the claim open.
        unbeaten: those of `tested` that multiplex is not above with p < alpha.
        least: the contrast with the smallest difference, the primary one; None where nothing was tested.
        p: the largest of the primary contrasts' (1 where multiplex is not above): an intersection-union test.
        p_holm: the same adjusted over models; None as p.
        flipping: domains without which some primary contrast with a control comes out otherwise.
        text: the claim in words, a few sentences, with its interval, and the strategies that are no controls beside it.
    """

    model: str
    holds: bool | None
    tested: tuple[str, ...]
    absent: tuple[str, ...]
    unbeaten: tuple[str, ...]
    least: Contrast | None
    p: float | None
    p_holm: float | None
    flipping: tuple[str, ...]
    text: str


class LabelPermutation(_Frozen):
    """Name against content: a figure of the multiplex voices, and what it is when their names are permuted.

    Attributes:
        what: `blind attribution`: the share of voices that the classifier, which sees no name, gives to their own;
            `blind attribution, relative`: after each perspective's mean score is taken off; `own references`: of a
            voice's references, the part that goes to its own perspective.
        answers, voices: what it stands on.
        observed, expected: 0..1; `expected` is the mean over all permutations within each answer.
        p: one-sided, of at least as much by permuted names.
    """

    model: str
    what: Literal["blind attribution", "blind attribution, relative", "own references"]
    answers: int
    voices: int
    observed: float
    expected: float
    p: float


class ExtractorReliability(_Frozen):
    """How well the extractor sees each perspective on labelled texts, and what follows for the shares.

    Attributes:
        texts: what it was measured on, in words; `n` of them.
        precision, recall: by perspective, 0..1.
        ratio: best recall / worst; above `limit` shares corrected by the confusion matrix stand beside the raw ones.
        note: one line for the reader.
    """

    texts: str
    n: int
    precision: dict[str, float]
    recall: dict[str, float]
    ratio: float
    limit: float
    corrects: bool
    note: str


class LanguageComparison(_Frozen):
    """One model under one strategy, asked the same questions in another language than the run's first.

    Attributes:
        language: as in `Unit`.
        units: in this language: `paired` + `alone` + `partial` + `unmeasured` + `unscored` + `failed` + `pending`.
        paired: answers with a measure in both languages, to so many `questions`; all figures stand on them.
        alone: answers whose counterpart in the first language has no measure, or one of names alone.
        partial: answers whose concepts are not read; compared with nothing.
        unmeasured: answers without a measure: in a language that is not read, or without a word.
        shares_first, shares: by perspective, 0..1, in the first language and in this one, of counts added over the
            questions; empty where there is no reference.
        changes: by figure, from the first language to this one; empty where nothing is paired.
    """

    model: str
    strategy: str
    language: str
    units: int
    paired: int
    questions: int
    alone: int
    partial: int
    unmeasured: int
    unscored: int
    failed: int
    pending: int
    shares_first: dict[str, float]
    shares: dict[str, float]
    changes: dict[FigureName, FigureChange]


class Analysis(_Frozen):
    """All statistics of a run under one scoring.

    Attributes:
        scoring: the key of the scoring.
        frame_name, frame, cues: what references are counted over, and by.
        language: of the questions that all figures but `languages` stand on: the set's own, or else the first measured.
        languages: the other languages of the run, each compared with that one.
        alpha, resamples, permutations, seed: of intervals and tests.
        units, answered, failed, pending: of the run.
        questions: of the run, whether answered or not.
        models, strategies, domains: as they occur in the run, strategies in the order in which they are known.
        conditions: by model, then strategy.
        claims: one a model.
        contrasts: every reading and weighting of multiplex minus every other strategy; `primary` ones are the claims'.
        left_out: the primary contrasts without each domain; empty where there are fewer than two.
        label_permutations: of the multiplex voices.
        reliability: of the extractor; None for a frame that was not validated.
        notes: what a reader should know, a line each.
    """

    scoring: str
    frame: tuple[str, ...]
    cues: tuple[str, ...]
    alpha: float
    resamples: int
    permutations: int
    seed: int
    units: int
    answered: int
    failed: int
    pending: int
    questions: int
    models: tuple[str, ...]
    strategies: tuple[str, ...]
    domains: tuple[str, ...]
    conditions: tuple[Condition, ...]
    claims: tuple[SuperiorityClaim, ...]
    contrasts: tuple[Contrast, ...]
    left_out: tuple[LeftOut, ...]
    label_permutations: tuple[LabelPermutation, ...]
    reliability: ExtractorReliability | None
    notes: tuple[str, ...]
    frame_name: str = DEFAULT
    language: str = ""
    languages: tuple[LanguageComparison, ...] = ()

    def condition(self, model: str, strategy: str) -> Condition | None:
        """The condition of a model and strategy; None where the run has none."""
        return next(
            (condition for condition in self.conditions if (condition.model, condition.strategy) == (model, strategy)),
            None,
        )
