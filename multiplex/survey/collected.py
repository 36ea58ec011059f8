"""What a run's respondents answered, gathered from its records: by respondent, question and variant."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace

from multiplex.bench.store.records import Record
from multiplex.council.answer import Choice
from multiplex.council.closed import ClosedQuestion
from multiplex.survey.data import Shares


@dataclass(frozen=True)
class Variant:
    """In which form a question was asked: order of options, labels, wordings; the epoch fixes the seed.

    `wording` is that of the prompt, `text` the question's own, as written or paraphrased.
    """

    order: tuple[int, ...]
    labels: str
    wording: int
    epoch: int
    text: str


@dataclass(frozen=True)
class Who:
    """A respondent of a model in a round: `name` is as in the units, `persona:islamic` or `country:EGY`."""

    model: str
    name: str
    round: int = 1

    @property
    def kind(self) -> str:
        """`persona`, `country`, `forecast` or `plain`."""
        return self.name.partition(":")[0]

    @property
    def of(self) -> str:
        """The persona's name or the country's code; empty for the plain model."""
        return self.name.partition(":")[2]


@dataclass
class RespondentAnswers:
    """All that one respondent answered."""

    perspective: str | None = None
    asked: dict[str, list[tuple[Variant, Choice]]] = field(default_factory=dict)

    def shares(self, question: str) -> Shares | None:
        """The mean distribution over the variants that could be read, each counted once; None where none could."""
        known = [choice.shares for _, choice in self.asked.get(question, ()) if choice.shares is not None]
        return tuple(sum(column) / len(known) for column in zip(*known, strict=True)) if known else None

    def points(self, question: str) -> list[int]:
        """The single options that were chosen, one a variant."""
        return [choice.point for _, choice in self.asked.get(question, ()) if choice.point is not None]

    def point(self, question: str) -> int | None:
        """The single option that was chosen most often, of equals the first; None where none was."""
        chosen = self.points(question)
        return max(chosen, key=chosen.count) if chosen else None

    def counts(self) -> tuple[int, int, int]:
        """Replies that could be read, that declined, and that could not be read."""
        every = [choice for variants in self.asked.values() for _, choice in variants]
        return (
            sum(each.readable for each in every),
            sum(each.refused for each in every),
            sum(each.unreadable for each in every),
        )

    def outside(self) -> float | None:
        """The mean mass on tokens that are no option's letter, 0..1; None without log probabilities."""
        known = [c.outside for variants in self.asked.values() for _, c in variants if c.outside is not None]
        return sum(known) / len(known) if known else None


@dataclass
class SurveyAnswers:
    """The answers of everybody, and how many units failed or are pending."""

    answers: dict[Who, RespondentAnswers] = field(default_factory=dict)
    done: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    pending: int = 0
    methods: set[str] = field(default_factory=set)
    notes: dict[str, int] = field(default_factory=dict)

    @property
    def models(self) -> list[str]:
        """The models, in the order in which they were asked."""
        return list(dict.fromkeys(who.model for who in self.answers))

    def restricted(self, questions: Collection[str]) -> SurveyAnswers:
        """The answers to these questions only; respondents who answered none of them are left out."""
        kept = {
            who: RespondentAnswers(each.perspective, {q: found for q, found in each.asked.items() if q in questions})
            for who, each in self.answers.items()
        }
        return replace(self, answers={who: each for who, each in kept.items() if each.asked})

    def of(self, model: str, kind: str, number: int = 1) -> Iterator[tuple[Who, RespondentAnswers]]:
        """The respondents of a kind in the round of this number."""
        for who, answers in self.answers.items():
            if (who.model, who.kind, who.round) == (model, kind, number):
                yield who, answers

    def rounds(self, model: str) -> list[int]:
        """The rounds in which the personas of a model answered."""
        return sorted({who.round for who in self.answers if who.model == model and who.kind == "persona"})


def collect(records: Iterable[Record], mixed: Collection[str] = (), main: str = "") -> SurveyAnswers:
    """The answers of a run's records, which are read once as a stream.

    Personas of the `mixed` perspectives were spoken by other models (`--voice-model`); they count as voices of `main`.
    """
    found = SurveyAnswers()
    for record in records:
        closed = record.unit.closed
        if record.answer is None or closed is None:
            if record.failure is not None:
                found.failed[record.failure.kind] = found.failed.get(record.failure.kind, 0) + 1
            else:
                found.pending += 1
            continue
        found.done += 1
        found.methods.add(closed.method)
        variant = _variant(closed, record.unit.epoch)
        for voice in record.answer.rounds:
            if voice.choice is None:
                continue
            name = record.unit.strategy
            persona = name.startswith("persona:")
            model = main if persona and voice.perspective in mixed else record.unit.model
            of = found.answers.setdefault(Who(model, name, voice.round), RespondentAnswers())
            if persona:
                of.perspective = voice.perspective
            of.asked.setdefault(record.unit.question_id, []).append((variant, voice.choice))
            if voice.choice.note:
                note = voice.choice.note if voice.choice.shares is None else "stated shares did not sum to 100%"
                kind = "too little probability on the options' letters" if note.startswith("only ") else note
                found.notes[kind] = found.notes.get(kind, 0) + 1
    return found


def _variant(closed: ClosedQuestion, epoch: int) -> Variant:
    return Variant(closed.order, closed.labels, closed.wording, epoch, closed.text)
