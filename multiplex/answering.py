"""Asks a question in several ways and measures what came out: `answer` and `aanswer`."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict

from multiplex.council.answer import Answer, Synthesis, Voice
from multiplex.council.events import Emit
from multiplex.council.personas import Council
from multiplex.council.planning import PlanMode, checked_question
from multiplex.errors import MultiplexError, UsageError
from multiplex.evaluation import FRAME, Evaluator, Gazetteer, Kept, Measures
from multiplex.evaluation.languages.reading import language_note
from multiplex.evaluation.languages.recognition import ENGLISH
from multiplex.llm.chat import Chat
from multiplex.llm.model import Model, as_chat
from multiplex.settings import Check

if TYPE_CHECKING:
    from multiplex.evaluation.retention.entailment import Entailment

Strategy = Literal["uniplex", "contextual", "multiplex"]
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)
DEFAULT_STRATEGIES: tuple[Strategy, ...] = ("uniplex", "multiplex")


class Measured(BaseModel):
    """An answer and its measures; they are None where nothing could be measured, and a note of the answer says why."""

    model_config = ConfigDict(frozen=True)

    answer: Answer
    measures: Measures | None = None
    nulls: dict[str, Synthesis] = {}
    """By perspective, the syntheses made without its voice, where they were asked for."""
    kept: Kept | None = None
    """What a council's synthesis kept of its voices."""


class Result(BaseModel):
    """What came of one question.

    Attributes:
        answers: by strategy, those that were finished.
        failed: by strategy, one line for each that was not.
        spoken: the voices of a council that failed, so that nothing finished is lost.
        models: each model used, as its spec describes it (the name of a key's variable, never a key).
        created: UTC, ISO 8601.
    """

    model_config = ConfigDict(frozen=True)

    question: str
    seed: int
    frame: tuple[str, ...]
    answers: dict[str, Measured]
    failed: dict[str, str] = {}
    spoken: tuple[dict[str, Any], ...] = ()
    models: dict[str, dict[str, Any]] = {}
    version: str = ""
    created: str = ""

    def __getitem__(self, strategy: str) -> Answer:
        """The answer of a strategy; KeyError where it failed (see `failed`) or was not asked for."""
        return self.answers[strategy].answer


async def ask(
    question: str,
    *,
    strategies: Sequence[Strategy] = DEFAULT_STRATEGIES,
    model: Model = None,
    council: Council | None = None,
    voice_models: Mapping[str, Model] | None = None,
    rounds: int = 1,
    plan: PlanMode = "default",
    seed: int | None = None,
    min_voices: int | None = None,
    frame: Sequence[str] = FRAME,
    nulls: bool = False,
    check: Check | None = None,
    nli: Entailment | None = None,
    emit: Emit | None = None,
) -> tuple[Result, MultiplexError | None]:
    """Every strategy's answer, unmeasured, and the error of the first strategy that failed.

    With `nulls` the council's synthesis is made once more without each voice: as many further calls as voices. `check`
    replaces what the model's spec says of the essay's check; `nli` decides in it too. A Chat that is given stays open.

    Raises:
        UsageError: the question or an argument is wrong; nothing was sent.
        MultiplexError: no strategy brought an answer.
    """
    from multiplex.council import strategies as ways

    chosen = checked_strategies(strategies)
    chat = _lent(model).adjusted(check=check)
    question = checked_question(question, local=chat.spec.local)
    for strategy in chosen:
        ways.check_strategy(strategy, chat.spec)
    council = council or Council.load()
    council.check(voice_models or (), rounds, min_voices)
    chats = {perspective: _lent(other) for perspective, other in (voice_models or {}).items()}
    seed = random.randrange(2**31) if seed is None else seed
    spoken: list[dict[str, Any]] = []

    def hear(event: dict[str, Any]) -> None:
        if event["type"] == "voice.finished":
            spoken.append(event)
        if emit is not None:
            emit(event)

    asked = {
        "uniplex": lambda: ways.uniplex(question, chat, seed, hear),
        "contextual": lambda: ways.contextual(question, chat, seed, hear),
        "multiplex": lambda: ways.multiplex(
            question, chat, seed, hear, council=council, voice_models=chats, rounds=rounds, plan_mode=plan,
            min_voices=min_voices, judge=nli.rows if nli is not None else None,
        ),
    }  # fmt: skip
    try:
        outcomes = await asyncio.gather(*(asked[strategy]() for strategy in chosen), return_exceptions=True)
        whole = dict(zip(chosen, outcomes, strict=True)).get("multiplex")
        without = await ways.nulls(whole, question, chat, seed) if nulls and isinstance(whole, Answer) else {}
    finally:
        await asyncio.gather(*(each.aclose() for each in {chat, *chats.values()}))
    errors = _errors(dict(zip(chosen, outcomes, strict=True)))
    answers = {
        strategy: Measured(answer=outcome, nulls=without if strategy == "multiplex" else {})
        for strategy, outcome in zip(chosen, outcomes, strict=True)
        if isinstance(outcome, Answer)
    }
    worst = _worst(errors)
    if worst is not None and not answers and not spoken:
        raise worst
    result = Result(
        question=question,
        seed=seed,
        frame=tuple(frame),
        answers=answers,
        failed={strategy: str(error) for strategy, error in errors.items()},
        spoken=tuple(spoken) if "multiplex" in errors else (),
        models={
            each.spec.name: each.spec.model_dump() | {"base_url": each.spec.place} for each in (chat, *chats.values())
        },
        version=version(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    return result, worst


def measured(result: Result, evaluator: Evaluator, nli: Entailment | None = None) -> Result:
    """The result with every answer measured; an answer that cannot be says so in a note.

    `nli` is a natural-language-inference model that decides which of the voices' claims the synthesis covers.

    Raises:
        ContentError: a gazetteer or a trained head is missing or wrong.
    """
    answers = {name: measured_answer(each, result.question, evaluator, nli) for name, each in result.answers.items()}
    return result.model_copy(update={"answers": answers})


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
        note = f"{answer.strategy}: not measured: {error}"
        return each.model_copy(update={"answer": answer.model_copy(update={"notes": (*answer.notes, note)})})
    noted = language_note(measures.language, measures.unread, measures.unread_sentences)
    if noted:
        answer = answer.model_copy(update={"notes": (*answer.notes, f"{answer.strategy}: {noted}")})
    # The embeddings that compare the voices with the synthesis read English.
    english = measures.language == ENGLISH
    kept = kept_of(answer, evaluator.local.gazetteer, nli, each.nulls) if english else None
    return each.model_copy(update={"answer": answer, "measures": measures, "kept": kept})


def kept_of(
    answer: Answer, gazetteer: Gazetteer, nli: Entailment | None = None, nulls: Mapping[str, Synthesis] | None = None
) -> Kept | None:
    """What the synthesis kept of its voices; None where fewer than two spoke.

    Raises:
        UsageError: as `evaluation.kept`.
    """
    from multiplex.evaluation.retention.masking import visible
    from multiplex.evaluation.retention.report import kept

    voices = said(answer.voices)
    if len(voices) < 2 or answer.form == "composed":  # which is made of the voices, word for word
        return None
    first = said(voice for voice in answer.rounds if voice.round == 1)
    return kept(
        voices,
        answer.text,
        answer.scaffold,
        nulls={name: visible(made.text, made.scaffold) for name, made in (nulls or {}).items()},
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
    frame: Sequence[str] = FRAME,
    sentiment_model: str | None = None,
    nli_model: str | None = None,
    **options: Any,
) -> Result:
    """Answer a question with every strategy asked for, and measure the answers.

    Args:
        question: at most 20,000 characters.
        frame: the perspectives that the measures count over.
        sentiment_model: a `transformers` text-classification model in place of the built-in head.
        nli_model: a `transformers` natural-language-inference cross-encoder: coverage in place of overlap; it
            decides in the check of the essay too.
        **options: those of `ask`: strategies, model, council, voice_models, rounds, plan, seed, min_voices, nulls,
            check, emit.

    Returns:
        The answers and measures by strategy. A strategy that failed stands in `failed` instead.

    Raises:
        UsageError: the question or an argument is wrong; nothing was sent.
        MultiplexError: no strategy brought an answer.
    """
    evaluator = Evaluator(frame, sentiment_model=sentiment_model)
    nli = await asyncio.to_thread(entailment, nli_model)
    if sentiment_model:
        await asyncio.to_thread(evaluator.preload)  # a model that is not there is told before anything is spent
    result, error = await ask(question, frame=evaluator.frame, nli=nli, **options)
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


def _lent(model: Model) -> Chat:
    """A Chat for this model; one that is its caller's own is closed by nobody else."""
    return model.borrowed() if isinstance(model, Chat) else as_chat(model)


def entailment(name: str | None) -> Entailment | None:
    """The natural-language-inference model of a name, loaded; None without a name.

    Raises:
        UsageError: it cannot be loaded, or its labels do not say what is entailed.
    """
    if name is None:
        return None
    from multiplex.evaluation.retention.entailment import Entailment

    return Entailment(name)


def checked_strategies(strategies: Sequence[str]) -> tuple[Strategy, ...]:
    """The strategies without repetition.

    Raises:
        UsageError: one is unknown, or there is none.
    """
    unknown = [strategy for strategy in strategies if strategy not in STRATEGIES]
    if unknown or not strategies:
        raise UsageError(f"no strategy {unknown[0] if unknown else ''!r}; there are {', '.join(STRATEGIES)}")
    return tuple(dict.fromkeys(strategies))  # type: ignore[arg-type]  # checked above


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
