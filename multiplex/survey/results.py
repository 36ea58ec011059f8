"""The results of a survey run, as data: what the report prints and nothing it has to compute."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class SurveyFigure(_Frozen):
    """A figure with its 95% interval; what does not exist is None."""

    value: float | None
    low: float | None = None
    high: float | None = None


class Standing(_Frozen):
    """How close one condition is to the people of a perspective, or of all.

    Attributes:
        model: empty for a baseline of people alone.
        perspective: None over all countries.
        condition: `personas`, `countries`, `forecast`, `plain`, or a baseline.
        pairs: (question, country) pairs compared.
        similarity: mean 1 - Jensen-Shannon distance (base 2), 0..1.
        transport: mean 1 - W1 / (N - 1) over ordered options, 0..1.
        skill: S, 100 for people's own answer, 0 for a uniform one.
        alignment: of majority options or point answers, 0..100.
    """

    model: str
    perspective: str | None
    condition: str
    pairs: int
    similarity: SurveyFigure
    transport: float | None = None
    skill: float | None = None
    alignment: float | None = None
    baseline: bool = False
    note: str = ""


class SurveyContrast(_Frozen):
    """One condition minus another over the pairs that both have; Holm's p over the models."""

    model: str
    first: str
    second: str
    pairs: int
    difference: SurveyFigure
    p: float | None
    p_holm: float | None


class Profile(_Frozen):
    """A voice's profile beside people's.

    Attributes:
        round: from 2 on, after personas heard each other.
        r: with its own perspective's, or its own country's, people; None with `note` where it cannot be measured.
        ceiling: the mean r of a country's people with the others of the perspective.
        by_country: r with the people of each country.
        nearest: the country of highest r.
    """

    model: str
    name: str
    perspective: str | None
    round: int = 1
    r: float | None
    ceiling: float | None = None
    by_country: dict[str, float | None] = {}
    nearest: str | None = None
    questions: int = 0
    note: str = ""


class Identification(_Frozen):
    """How often a respondent's own people are its nearest, beside chance and what people reach; `of` were judged."""

    model: str
    kind: str
    own: float | None
    chance: float | None
    people: float | None
    of: int


class CouncilSpread(_Frozen):
    """How far voices lie apart, beside the people they are named after; 0..100.

    Between distributions the Jensen-Shannon distance, between point answers `option_distance`.
    """

    model: str
    kind: str
    round: int
    voices: int
    diversity: float | None
    people: float | None
    spanning: float | None
    people_spanning: float | None


class Stability(_Frozen):
    """What a change of form alone does to answers.

    Attributes:
        factor: `order`, `labels`, `wording` (of the prompt), `paraphrase` (of the question) or `seed`.
        pairs: of two variants that differ in nothing else.
        variation: their mean total variation, 0..1; of point answers, the share of pairs that differ.
        in_deviations: their mean difference on the scale, in standard deviations between countries.
    """

    model: str
    factor: str
    pairs: int
    variation: float | None
    in_deviations: float | None


class Replies(_Frozen):
    """What became of the replies of a kind of respondent."""

    model: str
    kind: str
    readable: int
    refused: int
    unreadable: int
    outside: float | None


class Near(_Frozen):
    """A country by how close the plain model's answers are to its people's."""

    model: str
    country: str
    perspective: str | None
    similarity: float
    questions: int


class MapPoint(_Frozen):
    """A point of the dot plot: a voice or a country in two dimensions."""

    label: str
    kind: str
    perspective: str | None
    x: float
    y: float


class Results(_Frozen):
    """Everything that a run of a survey shows."""

    survey: str
    method: str
    questions: int
    countries: tuple[str, ...]
    done: int
    failed: dict[str, int]
    pending: int
    models: tuple[str, ...]
    replies: tuple[Replies, ...]
    standings: tuple[Standing, ...]
    contrasts: tuple[SurveyContrast, ...]
    profiles: tuple[Profile, ...]
    ceiling: dict[str, float]
    identification: tuple[Identification, ...]
    spreads: tuple[CouncilSpread, ...]
    stability: tuple[Stability, ...]
    near: tuple[Near, ...]
    places: dict[str, tuple[MapPoint, ...]]
    unmeasured: dict[str, str]
    notes: tuple[str, ...]
