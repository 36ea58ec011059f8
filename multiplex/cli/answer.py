"""Carries out `multiplex answer`: prepares the models, shows what happens, measures, prints and writes."""

from __future__ import annotations

import asyncio
import sys
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from multiplex.answering import Result, ask, entailment, measured, unmeasured
from multiplex.cli.live import Screen, print_notes, print_result
from multiplex.council.locales import locale_of
from multiplex.council.order import Order
from multiplex.errors import MultiplexError, VoicesLostError, WeightsError
from multiplex.evaluation import Evaluator, Frame
from multiplex.llm.chat import Chat
from multiplex.llm.spec import api_key
from multiplex.present.output import write_output
from multiplex.present.result import as_json, reading_order
from multiplex.text.console import SafeConsole
from multiplex.text.terminal import one_line

if TYPE_CHECKING:
    from multiplex.evaluation.retention.entailment import Entailment

PRELOAD_AFTER = 1.0  # seconds; the first requests leave before the evaluator's imports take the processor


@dataclass(frozen=True)
class AnswerOrder:
    """What the command line asked for: a question, by what it is measured, and how the result is shown.

    `why` are the lines that say which model was chosen.
    """

    asked: Order
    frames: tuple[Frame, ...]
    sentiment_model: str | None
    nli_model: str | None
    show_voices: bool
    as_json: bool
    output: Path | None
    quiet: bool
    why: tuple[str, ...] = ()


def carry_out(order: AnswerOrder) -> int:
    """Ask, measure, print; the exit code.

    Raises:
        UsageError: a model's key is missing; nothing was sent.
        MultiplexError: nothing could be answered, or the answer, which is then shown and kept, could not be measured.
    """
    for chat in order.asked.chats:
        api_key(chat.spec)  # one that is missing is told once, before anything is asked
    out = SafeConsole(soft_wrap=False)
    progress = out if out.is_terminal and not order.as_json else SafeConsole(stderr=True)
    silent = order.quiet or (order.as_json and not progress.is_terminal)
    evaluator = Evaluator(order.frames, sentiment_model=order.sentiment_model)
    for line in order.why:
        progress.print(Text(line, "dim"), soft_wrap=True)
    asked = _prepare(order.asked, progress, silent=silent)
    screen = Screen(SafeConsole(stderr=True, quiet=True) if silent else progress, asked, stream=progress is out)
    nli = entailment(order.nli_model)
    if order.sentiment_model:
        evaluator.preload()  # a model that is not there is told before anything is spent
    result, error = _ask(asked, screen, progress, evaluator, nli)
    if not silent and result.answers:
        progress.print(Text("measuring …", "dim"))
    stopped: BaseException | None = None
    try:
        result = measured(result, evaluator, nli)
    except (Exception, KeyboardInterrupt) as stop:  # the answer is paid for: it is shown and kept without figures
        result, stopped = unmeasured(result, str(stop) or "interrupted"), stop
    try:
        _print(order, result, out, progress, streamed=screen.streamed)
    finally:  # a closed pipe or a full disk behind standard output leaves the file
        if order.output is not None:
            write_output(result, order.output, show_voices=order.show_voices)
    if stopped is not None:
        raise stopped
    if error is None:
        return 0
    print(f"multiplex: {error}", file=sys.stderr)
    return error.exit_code if isinstance(error, VoicesLostError) or not result.answers else 1


def _ask(
    asked: Order, screen: Screen, progress: Console, evaluator: Evaluator, nli: Entailment | None
) -> tuple[Result, MultiplexError | None]:
    """What came of the question; meanwhile the evaluator is loaded."""
    timer = threading.Timer(PRELOAD_AFTER, evaluator.preload)
    timer.daemon = True
    if not asked.model.spec.local:  # the embedded model has better use for the processor
        timer.start()
    try:
        with screen:
            return asyncio.run(ask(asked, screen.hear, nli))
    except KeyboardInterrupt:
        _print_finished(screen, progress)
        raise
    except Exception:
        timer.cancel()
        if timer.is_alive():
            timer.join()  # an interpreter that ends while another thread loads torch is aborted
        raise
    finally:
        timer.cancel()


def _prepare(asked: Order, progress: Console, *, silent: bool) -> Order:
    """The order, once the weights and the embedded server are ready, where they are needed.

    A model that cannot be had is marked so: the sourcebooks answer without it.

    Raises:
        WeightsError: a model cannot be had, and the council is not asked.
    """
    files = {chat.spec.gguf for chat in asked.chats if chat.spec.local}
    faults = {gguf: _fault(gguf, asked, progress, silent=silent) for gguf in files}

    def mark(chat: Chat) -> Chat:
        spec = chat.spec
        return Chat(spec.model_copy(update={"unavailable": faults[spec.gguf]})) if spec.local else chat

    voice_models = {perspective: mark(chat) for perspective, chat in asked.voice_models.items()}
    return replace(asked, model=mark(asked.model), voice_models=voice_models)


def _fault(gguf: str | None, asked: Order, progress: Console, *, silent: bool) -> str | None:
    """Why a model file cannot be had; None where it is loaded."""
    from multiplex.llm.local.fetch_progress import ensure_weights
    from multiplex.llm.local.server import embedded_server

    try:
        path = ensure_weights(gguf, silent=silent)
        if not silent:
            progress.print(Text("loading the embedded model; on two cores a question takes about a minute", "dim"))
        embedded_server(path)
    except WeightsError as error:
        if "multiplex" not in asked.strategies:
            raise
        if not silent:
            progress.print(Text(f"{error}\nThe sourcebooks answer without the model.", "yellow"), soft_wrap=True)
        return str(error)
    return None


def _print(order: AnswerOrder, result: Result, out: Console, progress: Console, *, streamed: bool) -> None:
    if order.as_json:
        print(as_json(result))
    elif order.quiet:
        texts = [result.answers[strategy].answer.text for strategy in reading_order(result)]
        print("\n\n".join([*texts, *_spoken(result)]))
        council = result.answers.get("multiplex")
        for note in council.answer.notes if council is not None and council.answer.form == "voices" else ():
            print(f"multiplex: {one_line(note)}", file=sys.stderr)  # why they stand in place of an essay
    else:
        for voice in _spoken(result):
            out.print(Text(f"{voice}\n"), soft_wrap=True)
        if result.answers:
            print_result(out, result, streamed=streamed, show_voices=order.show_voices)
        else:
            print_notes(progress, result)
    sys.stdout.flush()


def _spoken(result: Result) -> list[str]:
    """The voices of a council that failed: they are paid for too."""
    locale = locale_of(result.language)
    heads = (locale.say("voice_of", voice=locale.title(voice.title)) for voice in result.spoken)
    return [f"{head}:\n{voice.text}" for head, voice in zip(heads, result.spoken, strict=True)]


def _print_finished(screen: Screen, progress: Console) -> None:
    """What was said before an interruption: nothing finished is lost."""
    for name, text in screen.finished:
        progress.print(Text(f"{name}:\n{text}\n"), soft_wrap=True)
