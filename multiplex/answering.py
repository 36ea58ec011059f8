"""Asks a question in several ways and measures what came out: `answer` and `aanswer`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from multiplex.council.answer import Answer, Synthesis, Voice
from multiplex.council.events import Emit, Event, VoiceFinished, silent
from multiplex.council.locales import ENGLISH, Language, locale_of
from multiplex.council.order import STRATEGIES, Order, Strategy
from multiplex.errors import MultiplexError, UsageError
from multiplex.evaluation import FRAME, Evaluator, Frame, Gazetteer, Measures, Retention
from multiplex.evaluation.extraction.frames import DEFAULT
from multiplex.evaluation.languages.reading import language_note
from multiplex.evaluation.renamed import Renamed
from multiplex.llm.chat import Chat
from multiplex.llm.tracing import trace_answer

if TYPE_CHECKING:
    from multiplex.evaluation.retention.entailment import Entailment


FEW_WORDS = 3


class Measured(Renamed):
    """An answer and its measures; they are None where nothing could be measured, and a note of the answer says why."""

    model_config = ConfigDict(frozen=True)

    former_names: ClassVar = {"leave_one_out": "nulls", "retention": "kept"}

    answer: Answer
    measures: Measures | None = None
    leave_one_out: dict[str, Synthesis] = Field(default_factory=dict)
    """By perspective, the syntheses made without its voice, where they were asked for."""
    retention: Retention | None = None
    """What a council's synthesis kept of its voices."""


class Result(BaseModel):
    """What came of one question.

    Attributes:
        answers: by strategy, those that were finished.
        failed: by strategy, one line for each that was not.
        spoken: the voices of a council that failed, so that nothing finished is lost.
        language: ISO 639 code of the question's language, or of the one that was chosen; empty if not recognised.
        models: each model used, as its spec describes it (the name of a key's variable, never a key).
        created: UTC, ISO 8601.
    """

    model_config = ConfigDict(frozen=True)

    question: str
    seed: int
    frame: tuple[str, ...] = FRAME
    frame_name: str = DEFAULT
    answers: dict[str, Measured]
    failed: dict[str, str] = {}
    spoken: tuple[Voice, ...] = ()
    language: str = ENGLISH
    models: dict[str, dict[str, Any]] = {}
    version: str = ""
    created: str = ""

    def __getitem__(self, strategy: str) -> Answer:
        """The answer of a strategy; KeyError where it failed (see `failed`) or was not asked for."""
        return self.answers[strategy].answer


async def ask(order: Order, emit: Emit = silent, nli: Entailment | None = None) -> tuple[Result, MultiplexError | None]:
    """Every strategy's answer, unmeasured, and the error of the first strategy that failed.

    `nli` decides in the check of the essay.

    Raises:
        MultiplexError: no strategy brought an answer.
    """
    from multiplex.council.stance import add_stances

    spoken: list[Voice] = []

    def hear(event: Event) -> None:
        if isinstance(event, VoiceFinished):
            spoken.append(event.voice)
        emit(event)

    language = await language_for(order.question, order.language)
    try:
        with trace_answer(order.strategies, order.seed) as inside, inside():
            answering = (_answer_by(strategy, order, hear, nli, language) for strategy in order.strategies)
            outcomes = await asyncio.gather(*answering, return_exceptions=True)
            by_strategy: dict[str, Answer | BaseException] = dict(zip(order.strategies, outcomes, strict=True))
            whole = by_strategy.get("multiplex")
            if order.stance and isinstance(whole, Answer):
                by_strategy["multiplex"] = await add_stances(
                    whole, order.stance, question=order.question, council=order.council, chat=order.model,
                    voice_models=order.voice_models, seed=order.seed,
                )  # fmt: skip
            without = await _leave_one_out(order, by_strategy.get("multiplex"), language)
    finally:
        await asyncio.gather(*(chat.aclose() for chat in order.chats))
    errors = _errors(by_strategy)
    answers = {
        strategy: Measured(answer=outcome, leave_one_out=without if strategy == "multiplex" else {})
        for strategy, outcome in by_strategy.items()
        if isinstance(outcome, Answer)
    }
    worst = _worst(errors)
    if worst is not None and not answers and not spoken:
        raise worst
    failed = {strategy: str(error) for strategy, error in errors.items()}
    result = make_result(
        order.question, order.seed, answers, failed=failed, voices=spoken, chats=order.chats, language=language.code
    )
    return result, worst


def make_result(
    question: str,
    seed: int,
    answers: Mapping[str, Measured],
    *,
    failed: Mapping[str, str],
    voices: Iterable[Voice],
    chats: Iterable[Chat],
    language: str = ENGLISH,
) -> Result:
    """The result of now, by this version, with those of the voices that spoke where their council failed."""
    return Result(
        question=question,
        seed=seed,
        answers=dict(answers),
        failed=dict(failed),
        language=language,
        spoken=tuple(voice for voice in voices if voice.error is None) if "multiplex" in failed else (),
        models={chat.spec.name: chat.spec.model_dump() | {"base_url": chat.spec.place} for chat in chats},
        version=version(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def question_language(question: str) -> str:
    """ISO 639 code of the language that a question is written in; empty where it is not recognised.

    A few words of plain Latin letters that tell no language count as English.
    """
    from multiplex.evaluation.languages.recognition import UNKNOWN, language_of

    found = language_of(question)
    return ENGLISH if found == UNKNOWN and question.isascii() and len(question.split()) <= FEW_WORDS else found


async def language_for(question: str, chosen: str | None) -> Language:
    """The language of an answer: the one that was chosen, or that of the question."""
    if chosen is not None:
        return Language(chosen, chosen=True)
    return Language(await asyncio.to_thread(question_language, question))


async def _answer_by(
    strategy: Strategy, order: Order, emit: Emit, nli: Entailment | None, language: Language
) -> Answer:
    from multiplex.council import strategies

    asked = order.question, order.model, order.seed, emit
    match strategy:
        case "uniplex":
            return await strategies.uniplex(*asked, language)
        case "contextual":
            return await strategies.contextual(*asked, language)
        case "multiplex":
            return await strategies.multiplex(
                *asked, council=order.council, voice_models=order.voice_models, rounds=order.rounds,
                plan_mode=order.plan, min_voices=order.min_voices, judge=nli.rows if nli is not None else None,
                language=language,
            )  # fmt: skip


async def _leave_one_out(
    order: Order, outcome: Answer | BaseException | None, language: Language
) -> dict[str, Synthesis]:
    """By perspective, the syntheses without its voice, where they are asked for and a council answered."""
    from multiplex.council import strategies

    if not order.leave_one_out or not isinstance(outcome, Answer):
        return {}
    return await strategies.synthesize_without_each(outcome, order.question, order.model, order.seed, language)


def measured(result: Result, evaluator: Evaluator, nli: Entailment | None = None) -> Result:
    """The result with every answer measured; an answer that cannot be says so in a note.

    `nli` is a natural-language-inference model that decides which of the voices' claims the synthesis covers.

    Raises:
        ContentError: a gazetteer or a trained head is missing or wrong.
    """
    answers = {name: measured_answer(each, result.question, evaluator, nli) for name, each in result.answers.items()}
    name = evaluator.frames[0].name
    return result.model_copy(update={"answers": answers, "frame": evaluator.frame, "frame_name": name})


def unmeasured(result: Result, why: object) -> Result:
    """The result with a note of every answer that says why none was measured."""
    answers = {
        name: each.model_copy(update={"answer": noted(each.answer, why)}) for name, each in result.answers.items()
    }
    return result.model_copy(update={"answers": answers})


def noted(answer: Answer, why: object) -> Answer:
    """The answer with a note that says why it was not measured."""
    note = f"{answer.strategy}: {locale_of(answer.language).say('not_measured', error=why)}"
    return answer.model_copy(update={"notes": (*answer.notes, note)})


def measured_answer(each: Measured, question: str, evaluator: Evaluator, nli: Entailment | None = None) -> Measured:
    """One answer with its measures, or with a note that says why there are none.

    Raises:
        ContentError: a gazetteer or a trained head is missing or wrong.
    """
    answer = each.answer
    try:
        measures = evaluator.measure(
            answer.text, question=question, scaffold=answer.scaffold, quoted=answer.quoted, prompt=answer.prompt
        )
    except UsageError as error:
        return each.model_copy(update={"answer": noted(answer, error)})
    unread = language_note(measures.language, measures.unread, measures.unread_sentences)
    if unread:
        answer = answer.model_copy(update={"notes": (*answer.notes, f"{answer.strategy}: {unread}")})
    # The embeddings that compare the voices with the synthesis read English.
    english = measures.language == ENGLISH
    retention = compare_with_voices(answer, evaluator.local.gazetteer, nli, each.leave_one_out) if english else None
    return each.model_copy(update={"answer": answer, "measures": measures, "retention": retention})


def compare_with_voices(
    answer: Answer,
    gazetteer: Gazetteer,
    nli: Entailment | None = None,
    leave_one_out: Mapping[str, Synthesis] | None = None,
) -> Retention | None:
    """What the synthesis kept of its voices; None where fewer than two said something.

    Raises:
        UsageError: as `evaluation.measure_retention`.
    """
    from multiplex.evaluation.retention.masking import visible
    from multiplex.evaluation.retention.report import measure_retention

    voices = said(voice for voice in answer.voices if voice.states)
    if len(voices) < 2 or answer.form == "composed":  # which is made of the voices, word for word
        return None
    first = said(voice for voice in answer.rounds if voice.round == 1)
    return measure_retention(
        voices,
        answer.text,
        answer.scaffold,
        leave_one_out={name: visible(made.text, made.scaffold) for name, made in (leave_one_out or {}).items()},
        first_round=first if any(voice.round > 1 for voice in answer.rounds) else None,
        nli=nli,
        gazetteer=gazetteer,
    )


def said(voices: Iterable[Voice]) -> dict[str, str]:
    """What each perspective said."""
    return {voice.perspective: voice.text for voice in voices if voice.error is None}


async def aanswer(
    question: str,
    *,
    frame: str | Frame | Sequence[str | Frame] | None = None,
    sentiment_model: str | None = None,
    nli_model: str | None = None,
    emit: Emit = silent,
    **options: Any,
) -> Result:
    """Answer a question with every strategy asked for, and measure the answers.

    Args:
        question: at most 20,000 characters.
        frame: what the measures count over: a frame's name or file, perspectives of the default frame, or several
            frames, of which the first makes the figures.
        sentiment_model: a `transformers` text-classification model in place of the built-in head.
        nli_model: a `transformers` natural-language-inference cross-encoder: coverage in place of overlap; it
            decides in the check of the essay too.
        emit: is told each event of `council/events.py` as it happens.
        **options: those of `Order.of`: strategies, model, council, voice_models, rounds, plan, seed, min_voices,
            leave_one_out, check, stance, language.

    Returns:
        The answers and measures by strategy. A strategy that failed stands in `failed` instead.

    Raises:
        UsageError: the question or an argument is wrong; nothing was sent.
        MultiplexError: no strategy brought an answer.
    """
    if "nulls" in options:  # the name of version 0.1.0
        options["leave_one_out"] = options.pop("nulls")
    order = Order.of(question, **options)
    evaluator = Evaluator(frame, sentiment_model=sentiment_model)
    nli = await asyncio.to_thread(entailment, nli_model)
    if sentiment_model:
        await asyncio.to_thread(evaluator.preload)  # a model that is not there is told before anything is spent
    result, error = await ask(order, emit, nli)
    if error is not None and not result.answers:
        raise error
    return await asyncio.to_thread(measured, result, evaluator, nli)


def answer(question: str, **options: Any) -> Result:
    """`aanswer` for code that does not await.

    Raises:
        UsageError: as `aanswer`; also inside a running event loop, where `await aanswer(...)` is the way.
        MultiplexError: as `aanswer`.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(_answer_and_close(question, options))
    raise UsageError("answer() cannot run inside an event loop; use `await aanswer(...)`")


async def _answer_and_close(question: str, options: Mapping[str, Any]) -> Result:
    """The result, with no connection left to an event loop that ends with it."""
    given = (options.get("model"), *(options.get("voice_models") or {}).values())
    try:
        return await aanswer(question, **options)
    finally:
        await asyncio.gather(*(each.aclose() for each in given if isinstance(each, Chat)))


def entailment(name: str | None) -> Entailment | None:
    """The natural-language-inference model of a name, loaded; None without a name.

    Raises:
        UsageError: it cannot be loaded, or its labels do not say what is entailed.
    """
    if name is None:
        return None
    from multiplex.evaluation.retention.entailment import Entailment

    return Entailment(name)


def _errors(outcomes: Mapping[str, object]) -> dict[str, MultiplexError]:
    """The failures by strategy; an exception that multiplex did not raise on purpose goes on."""
    errors = {}
    for strategy, outcome in outcomes.items():
        if isinstance(outcome, MultiplexError):
            errors[strategy] = outcome
        elif isinstance(outcome, BaseException):
            raise outcome
    return errors


def _worst(errors: Mapping[str, MultiplexError]) -> MultiplexError | None:
    """The error that decides the exit code: a wrong usage first, then the council's, then a plain call's."""
    for kind in (UsageError, MultiplexError):
        for strategy in reversed(STRATEGIES):
            if isinstance(errors.get(strategy), kind):
                return errors[strategy]
    return None


def version() -> str:
    """This package's version."""
    from importlib import metadata

    try:
        return metadata.version("multiplex-worldviews")
    except metadata.PackageNotFoundError:
        return "not installed"
