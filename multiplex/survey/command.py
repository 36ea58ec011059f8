"""Carries out `multiplex survey run` on the runner and the store of `multiplex bench`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from multiplex.bench.execute.command import RunOrder, Suite, run
from multiplex.bench.store.store import Store
from multiplex.council.closed import LEAST_INSIDE
from multiplex.errors import CallError, UsageError
from multiplex.llm.chat import Chat
from multiplex.llm.logprobs import MOST, TOKENS, read_alternatives
from multiplex.llm.spec import ModelSpec
from multiplex.llm.types import Call
from multiplex.survey.data import Survey
from multiplex.survey.plan import SurveyPlan, units
from multiplex.survey.readers import read_survey, write_survey

PEOPLE = "survey.jsonl"  # in a run's folder: the survey that its answers are compared with
REPORT = "multiplex survey report"


@dataclass(frozen=True)
class SurveyOrder:
    """What the command line asked for: `people` is the whole survey; the other fields are as in `RunOrder`."""

    folder: Path
    plan: SurveyPlan
    people: Survey
    specs: tuple[ModelSpec, ...]
    seed: int | None = None
    max_tokens: int | None = None
    max_usd: float | None = None
    prices: Path | None = None
    dry_run: bool = False
    most_errors: float = 0.05
    redo_damaged: bool = False


def run_survey(order: SurveyOrder) -> int:
    """Ask, or go on asking; the exit code is that of `multiplex bench run`.

    Raises:
        UsageError: the order is wrong, an endpoint gives no log probabilities though they are asked for, or the run
            that is there was made otherwise.
        MultiplexError: the disk refuses.
    """
    plan = order.plan
    units(plan, 0)  # raises before anything is sent or written
    if plan.method == "logprobs" and not order.dry_run and not Store.exists(order.folder):
        for line in asyncio.run(check_logprobs(order.specs)):
            print(line, file=sys.stderr)
    suite = Suite(
        plan.survey.name,
        lambda seed: units(plan, seed),
        survey=plan.settings,
        report=REPORT,
        begin=lambda: write_survey(order.people, order.folder / PEOPLE),
    )
    return run(
        RunOrder(
            folder=order.folder,
            specs=order.specs,
            strategies=(),
            questions=plan.survey.name,
            council=plan.council,
            epochs=plan.epochs,
            limit=None,
            seed=order.seed,
            score=False,
            max_tokens=order.max_tokens,
            max_usd=order.max_usd,
            prices=order.prices,
            dry_run=order.dry_run,
            most_errors=order.most_errors,
            redo_damaged=order.redo_damaged,
            suite=suite,
        )
    )


def people_of(folder: Path) -> Survey:
    """The survey that a run's answers are compared with.

    Raises:
        UsageError: the run is no survey's.
    """
    path = folder / PEOPLE
    if not path.is_file():
        raise UsageError(f"{folder}: no run of a survey ({PEOPLE} is not there); `multiplex survey run` makes one")
    return read_survey(path)


async def check_logprobs(specs: Sequence[ModelSpec]) -> list[str]:
    """Ask each endpoint once for log probabilities; a line for each model whose letters can hardly be read.

    Raises:
        UsageError: one gives none; it says what to use instead.
        MultiplexError: one cannot be asked at all.
    """
    from langchain_core.messages import HumanMessage

    told: list[str] = []
    for spec in specs:
        chat = Chat(spec, transport="whole")
        try:
            asked = HumanMessage("Reply with the letter A.")
            reply = await chat.complete([asked], Call(max_tokens=TOKENS, top_logprobs=MOST))
        except CallError as error:
            if error.kind != "bad_request":
                raise
            raise UsageError(f"{error}: --method verbalised") from error
        else:
            if (inside := read_alternatives(reply.text, "A").inside[0]) < LEAST_INSIDE:
                told.append(
                    f"{spec.name}: asked for the letter A, its next token is A with {inside:.1%}; a reply with less "
                    f"than {LEAST_INSIDE:.0%} on the options' letters is unreadable (--method sample reads words)"
                )
        finally:
            await chat.aclose()
    return told
