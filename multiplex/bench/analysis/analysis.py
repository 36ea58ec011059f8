"""All statistics of a run: reads its records once, keeps rows of numbers, and puts the figures and tests together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from multiplex.bench.analysis.conditions import Draws, condition
from multiplex.bench.analysis.contrasts import MULTIPLEX, Test, claims, contrasts, left_out
from multiplex.bench.analysis.extractor_errors import Confusions
from multiplex.bench.analysis.label_permutation import Voices
from multiplex.bench.analysis.languages import compare_languages
from multiplex.bench.analysis.model import Analysis, Condition, Contrast, LeftOut
from multiplex.bench.analysis.observations import Observations
from multiplex.bench.plan.units import STRATEGIES
from multiplex.bench.store.records import Record
from multiplex.errors import UsageError
from multiplex.evaluation.languages.reading import languages_of, not_read

if TYPE_CHECKING:
    from multiplex.bench.store.store import Store


def analyse(
    store: Store,
    scoring: str | None = None,
    *,
    alpha: float = 0.05,
    resamples: int = 2000,
    permutations: int = 9999,
    seed: int = 7,
    damaged: str = "",
) -> Analysis:
    """The statistics of a run under one scoring, by default the newest.

    `damaged` names what of the run is damaged and left out; it becomes a note.

    Raises:
        UsageError: nothing was scored, the scoring is not there, or the settings are wrong.
        ContentError: `eval/reliability.yaml` is absent or wrong.
    """
    key = chosen_scoring(store, scoring)
    made = analysed(store.records(key), key, alpha=alpha, resamples=resamples, permutations=permutations, seed=seed)
    if not damaged:
        return made
    return made.model_copy(update={"notes": (f"Left out, since it is damaged: {damaged}.", *made.notes)})


def chosen_scoring(store: Store, scoring: str | None) -> str:
    """The key of a scoring that a run has, by default the newest.

    Raises:
        UsageError: nothing was scored, or not so.
    """
    known = tuple(store.scorings())
    if not known:
        raise UsageError("nothing in this run was scored; `multiplex bench score` does it, without a model call")
    if scoring is not None and scoring not in known:
        raise UsageError(f"no scoring {scoring!r} in this run; there are {', '.join(known)}")
    return scoring if scoring is not None else known[-1]


def analysed(
    records: Iterable[Record],
    scoring: str = "",
    *,
    alpha: float = 0.05,
    resamples: int = 2000,
    permutations: int = 9999,
    seed: int = 7,
    confusions: Confusions | None = None,
) -> Analysis:
    """The statistics of any records that were measured over one frame.

    `confusions` are by default those that ship.

    Raises:
        UsageError: no record holds a measured answer, they are measured over different frames, or alpha is not
            between 0 and 1.
        ContentError: `eval/reliability.yaml` is absent or wrong.
    """
    if not 0 < alpha < 1:
        raise UsageError(f"alpha is {alpha}; it must lie between 0 and 1")
    by_language: dict[str, Gathered] = {}
    for record in records:
        language = record.unit.language
        by_language.setdefault(language, Gathered(language)).add(record)
    run = _first_measured(by_language)
    if run is None or run.measured_by is None:
        raise UsageError("no answer of this run was measured; finish units and score them first")
    frame, cues = run.measured_by
    draws = Draws(resamples, seed)
    test = Test(draws, permutations, alpha)
    confusions = confusions if confusions is not None else Confusions.load()
    conditions = tuple(
        condition(observations, draws, confusions, cues, run.frame_name) for observations in run.observations_in_order()
    )
    made, without = _compared(run, test)
    return Analysis(
        scoring=scoring,
        frame=frame,
        frame_name=run.frame_name,
        cues=cues,
        alpha=alpha,
        resamples=resamples,
        permutations=permutations,
        seed=seed,
        units=sum(each.units for each in conditions),
        answered=sum(
            each.measured + each.wordless + sum(each.unread.get("names", {}).values()) + each.unscored
            for each in conditions
        ),
        failed=sum(each.failed for each in conditions),
        pending=sum(each.pending for each in conditions),
        questions=len(run.questions),
        models=run.models,
        strategies=tuple(strategy for strategy in STRATEGIES if any(each.strategy == strategy for each in conditions)),
        domains=tuple(dict.fromkeys(domain for domain in run.questions.values() if domain)),
        conditions=conditions,
        claims=tuple(claims(run.models, made, without, test)),
        contrasts=tuple(made),
        left_out=tuple(without),
        label_permutations=tuple(
            each for model, voices in run.voices.items() for each in voices.permute_labels(model, permutations, seed)
        ),
        reliability=confusions.reliability(frame, cues, frame_name=run.frame_name),
        notes=(*(note for each in conditions for note in _notes(each)), *_dropped(made)),
        language=run.language,
        languages=compare_languages(
            run.observations, [each.observations for each in by_language.values() if each is not run], draws
        ),
    )


def _first_measured(by_language: dict[str, Gathered]) -> Gathered | None:
    """What was asked in the set's own words, or else in the first other language that has a measured answer.

    Raises:
        UsageError: the languages were measured over different frames or by different cues.
    """
    measured = [each for each in by_language.values() if each.measured_by is not None]
    if len({each.measured_by for each in measured}) > 1:
        raise UsageError("its languages were measured over different frames or by other cues; score the run anew")
    return min(measured, key=lambda each: each.language != "", default=None)


class Gathered:
    """What a pass over the records leaves: observations a condition, and the voices of multiplex answers.

    Attributes:
        language: of the questions, as in `Unit`.
        measured_by: the frame and the cues; None until an answer is measured. `frame_name` is its name.
        questions: by id, the domain.
    """

    def __init__(self, language: str) -> None:
        self.language = language
        self.measured_by: tuple[tuple[str, ...], tuple[str, ...]] | None = None
        self.frame_name = ""
        self.observations: dict[tuple[str, str], Observations] = {}
        self.voices: dict[str, Voices] = {}
        self.questions: dict[str, str] = {}

    def add(self, record: Record) -> None:
        """Take in one record.

        Raises:
            UsageError: it was measured over another frame or by other cues than those before it.
        """
        unit, score = record.unit, record.score
        if score is not None and score.measures is not None:
            by = (score.measures.frame, score.measures.cues)
            self.measured_by = self.measured_by or by
            self.frame_name = score.measures.frame_name
            if by != self.measured_by:
                raise UsageError(f"unit {unit.id} was measured over another frame or other cues; score the run anew")
        self.questions.setdefault(unit.question_id, unit.domain)
        observations = self.observations.setdefault(
            (unit.model, unit.strategy), Observations(unit.model, unit.strategy, unit.language)
        )
        observations.add(record)
        if unit.strategy == MULTIPLEX and record.answer is not None and score is not None:
            self.voices.setdefault(unit.model, Voices()).add(score)

    @property
    def models(self) -> tuple[str, ...]:
        """In order of appearance."""
        return tuple(dict.fromkeys(model for model, _ in self.observations))

    def observations_in_order(self) -> list[Observations]:
        """By model, then by strategy as they are known; every observations over the frame of the run."""
        frame = self.measured_by[0] if self.measured_by is not None else ()
        every = [(model, strategy) for model in self.models for strategy in STRATEGIES]
        found = [self.observations[key] for key in every if key in self.observations]
        for observations in found:
            observations.frame = frame
        return found


def _compared(run: Gathered, test: Test) -> tuple[list[Contrast], list[LeftOut]]:
    """Every contrast of every model, and the primary ones without each domain."""
    made: list[Contrast] = []
    without: list[LeftOut] = []
    for model in run.models:
        found = {
            strategy: observations.table() for (of, strategy), observations in run.observations.items() if of == model
        }
        tables = {strategy: table for strategy, table in found.items() if table is not None}
        made += contrasts(model, tables, test)
        without += left_out(model, tables, made, test)
    return made, without


def _notes(of: Condition) -> list[str]:
    """What of a condition is missing, and so what its figures stand on."""
    missing = [
        f"{of.failed} failed ({', '.join(f'{kind} {n}' for kind, n in of.failures.items())})" if of.failed else "",
        f"{of.pending} pending" if of.pending else "",
        f"{of.wordless} without a word" if of.wordless else "",
        f"not read for their language{languages_of(of.unread)}" if "names" in of.unread else "",
        f"{of.unscored} not measured yet" if of.unscored else "",
    ]
    name = f"{of.model}, {of.strategy}"
    notes = [f"{name}: {note}" for note in not_read(of.unread, of.units)]
    if any(missing):
        notes.append(
            f"{name}: of {of.units} units {', '.join(filter(None, missing))}; its figures stand on {of.measured} "
            f"answers to {of.questions} questions."
        )
    if of.short:
        voices = ", ".join(f"{perspective} {n}" for perspective, n in of.lost.items())
        notes.append(f"{name}: {of.short} answers lack a voice ({voices}); they count as they are.")
    return notes


def _dropped(made: list[Contrast]) -> list[str]:
    """Where a `macro` leaves questions out."""
    return [
        f"{each.model}, {each.strategy}: {each.dropped} of {each.questions} questions count in no difference of "
        "`macro`, since an answer has no reference; `macro0` keeps them."
        for each in made
        if each.dropped and (each.weighting, each.reading) == ("reference", "macro")
    ]
