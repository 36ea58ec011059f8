"""Carries out `multiplex answer`: prepares the models, shows what happens, measures, prints and writes."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from multiplex.answering import DEFAULT_STRATEGIES, Result, ask, checked_strategies, entailment, measured
from multiplex.cli.live import Screen, print_notes, print_result
from multiplex.council.personas import Council
from multiplex.council.planning import checked_question
from multiplex.errors import MultiplexError, VoicesLostError, WeightsError
from multiplex.evaluation import Evaluator, Frame
from multiplex.llm.spec import ModelSpec
from multiplex.present.output import write_output
from multiplex.present.result import as_json, reading_order
from multiplex.text.console import SafeConsole

if TYPE_CHECKING:
    from multiplex.evaluation.retention.entailment import Entailment

PRELOAD_AFTER = 1.0  # seconds; the first requests leave before the evaluator's imports take the processor


@dataclass(frozen=True)
class Order:
    """What the command line asked for."""

    question: str
    spec: ModelSpec
    voice_specs: dict[str, ModelSpec]
    council: Council
    strategies: tuple[str, ...]
    rounds: int
    plan: Any
    seed: int | None
    min_voices: int | None
    frames: tuple[Frame, ...]
    sentiment_model: str | None
    nulls: bool
    nli_model: str | None
    show_voices: bool
    as_json: bool
    output: Path | None
    quiet: bool


def carry_out(order: Order, why: Sequence[str]) -> int:
    """Ask, measure, print; the exit code.

    Raises:
        MultiplexError: nothing could be answered.
    """
    out = SafeConsole(soft_wrap=False)
    progress = out if out.is_terminal and not order.as_json else SafeConsole(stderr=True)
    silent = order.quiet or (order.as_json and not progress.is_terminal)
    order = replace(order, strategies=checked_strategies(order.strategies or DEFAULT_STRATEGIES))
    order.council.check(order.voice_specs, order.rounds, order.min_voices)
    evaluator = Evaluator(order.frames, sentiment_model=order.sentiment_model)
    checked_question(order.question, local=order.spec.local)
    for line in why:
        progress.print(Text(line, "dim"), soft_wrap=True)
    order = _prepared(order, progress, silent=silent)
    with_screen = SafeConsole(stderr=True, quiet=True) if silent else progress
    screen = Screen(with_screen, order.council, order.strategies, stream=progress is out)
    nli = entailment(order.nli_model)
    if order.sentiment_model:
        evaluator.preload()  # a model that is not there is told before anything is spent
    timer = threading.Timer(PRELOAD_AFTER, evaluator.preload)
    timer.daemon = True
    if not order.spec.local:  # the embedded model has better use for the processor
        timer.start()
    try:
        with screen:
            result, error = asyncio.run(_ask(order, screen, nli))
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
    if not silent and result.answers:
        progress.print(Text("measuring …", "dim"))
    result = measured(result, evaluator, nli)
    try:
        _print(order, result, out, progress, streamed=screen.streamed)
    finally:  # the answer is paid for: a closed pipe or a full disk behind standard output leaves the file
        if order.output is not None:
            write_output(result, order.output, show_voices=order.show_voices)
    if error is None:
        return 0
    print(f"multiplex: {error}", file=sys.stderr)
    return error.exit_code if isinstance(error, VoicesLostError) or not result.answers else 1


async def _ask(order: Order, screen: Screen, nli: Entailment | None) -> tuple[Result, MultiplexError | None]:
    return await ask(
        order.question,
        strategies=order.strategies,  # type: ignore[arg-type]  # `ask` checks them
        model=order.spec,
        council=order.council,
        voice_models=order.voice_specs,
        rounds=order.rounds,
        plan=order.plan,
        seed=order.seed,
        min_voices=order.min_voices,
        frame=order.frames[0].names,
        nulls=order.nulls,
        nli=nli,
        emit=screen.hear,
    )


def _prepared(order: Order, progress: Console, *, silent: bool) -> Order:
    """The order, once the weights and the embedded server are ready, where they are needed.

    A model that cannot be had is marked so: the sourcebooks answer without it.

    Raises:
        WeightsError: a model cannot be had, and the council is not asked.
    """
    every = (order.spec, *order.voice_specs.values())
    faults = {gguf: _fault(gguf, order, progress, silent=silent) for gguf in {s.gguf for s in every if s.local}}

    def ready(spec: ModelSpec) -> ModelSpec:
        return spec.model_copy(update={"unavailable": faults[spec.gguf]}) if spec.local else spec

    voice_specs = {name: ready(spec) for name, spec in order.voice_specs.items()}
    return replace(order, spec=ready(order.spec), voice_specs=voice_specs)


def _fault(gguf: str | None, order: Order, progress: Console, *, silent: bool) -> str | None:
    """Why a model file cannot be had; None where it is loaded."""
    from multiplex.llm.local.fetch_progress import ensure_weights
    from multiplex.llm.local.server import embedded_server

    try:
        path = ensure_weights(gguf, silent=silent)
        if not silent:
            progress.print(Text("loading the embedded model; on two cores a question takes about a minute", "dim"))
        embedded_server(path)
    except WeightsError as error:
        if "multiplex" not in order.strategies:
            raise
        if not silent:
            progress.print(Text(f"{error}\nThe sourcebooks answer without the model.", "yellow"), soft_wrap=True)
        return str(error)
    return None


def _print(order: Order, result: Result, out: Console, progress: Console, *, streamed: bool) -> None:
    if order.as_json:
        print(as_json(result))
    elif order.quiet:
        print("\n\n".join(result.answers[strategy].answer.text for strategy in reading_order(result)))
    elif result.answers:
        print_result(out, result, streamed=streamed, show_voices=order.show_voices)
    else:
        for voice in result.spoken:
            out.print(Text(f"The {voice['title']} voice:\n{voice['text']}\n"), soft_wrap=True)
        print_notes(progress, result)
    sys.stdout.flush()


def _print_finished(screen: Screen, progress: Console) -> None:
    """What was said before an interruption: nothing finished is lost."""
    for title, text in screen.finished_voices:
        progress.print(Text(f"The {title} voice:\n{text}\n"), soft_wrap=True)
