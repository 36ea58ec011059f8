"""A survey as a suite of `multiplex.bench`, whose runner and store do its runs."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from multiplex.bench.execute.command import RunOrder
from multiplex.bench.plan.suite import Suite
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


def survey_suite(plan: SurveyPlan, people: Survey, order: RunOrder) -> Suite:
    """What a survey's run asks. `people` is the whole survey, which is kept in the run's folder."""

    def probe() -> None:
        if plan.method == "logprobs":
            for line in asyncio.run(check_logprobs(order.specs)):
                print(line, file=sys.stderr)

    return Suite(
        plan.survey.name,
        lambda seed: units(plan, seed),
        survey=plan.settings,
        report=REPORT,
        probe=probe,
        begin=lambda: write_survey(people, order.folder / PEOPLE),
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
