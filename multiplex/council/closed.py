"""Closed questions: how likely a respondent is to choose each of some options.

Three methods, named in the record and never mixed: the options' letters as the model's next token (`logprobs`), a
distribution that the model states (`verbalised`), or draws (`sample`). A refusal or an unreadable reply is counted as
such; it is never an option, never an even spread, and never asked again.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from multiplex.content import prompt
from multiplex.council.answer import Answer, Choice, Voice
from multiplex.council.personas import Council, Persona
from multiplex.council.seeds import call_seed
from multiplex.errors import CallError, UsageError
from multiplex.llm.chat import Chat
from multiplex.llm.local.server import PLAIN_SLOT
from multiplex.llm.logprobs import MOST, TOKENS, read_alternatives
from multiplex.llm.types import Call, Reply
from multiplex.llm.usage import Usage, total
from multiplex.text.marks import as_data

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

Method = Literal["logprobs", "verbalised", "sample"]
LabelSet = Literal["letters", "numbers"]
LEAST_INSIDE = 0.05  # mass on the options' letters below which a reply says nothing about them
SUM_SLACK = 0.02  # how far a stated distribution may miss 1 before that is told
DRAW_TOKENS = 16
LETTERS = "ABCDEFGHJKLMNOPQRSTUVWXYZ"  # no I: a refusal begins with it
_NUMBERS = 9  # options that single digits can label
_OBJECT = re.compile(r"\{[^{}]*\}")


class ClosedQuestion(BaseModel):
    """One closed question to one respondent.

    Attributes:
        options: as they were written.
        order: for each place in the prompt, the option that stands there.
        labels: which labels the options bear.
        wording: 1 or 2: the prompt that it is asked with.
        persona: the name of the persona of the council that answers; empty for `system`.
        system: what a respondent without a persona is told; empty for the plain model.
        before: what stands before the question, such as that a forecast is wanted.
        draws: with `sample`, how many.
        round: from 2 on, the respondent hears what others answered in the round before.
    """

    model_config = ConfigDict(frozen=True)
    text: str
    options: tuple[str, ...]
    order: tuple[int, ...]
    labels: LabelSet = "letters"
    wording: Literal[1, 2] = 1
    method: Method = "logprobs"
    persona: str = ""
    system: str = ""
    before: str = ""
    draws: int = 1
    round: int = 1

    @property
    def signs(self) -> tuple[str, ...]:
        """The label of each place in the prompt: A, B, ..., or 1, 2, ... (a, b, ... for more than nine options)."""
        digits = "".join(str(place + 1) for place in range(_NUMBERS))
        second = digits if len(self.order) <= _NUMBERS else LETTERS.lower()
        return tuple((second if self.labels == "numbers" else LETTERS)[: len(self.order)])

    def by_option(self, by_place: Sequence[float]) -> tuple[float, ...]:
        """Values in the order of the prompt, put into the order of the options."""
        values = dict(zip(self.order, by_place, strict=True))
        return tuple(values[option] for option in range(len(self.options)))


async def ask_closed(
    question: ClosedQuestion, chat: Chat, seed: int, strategy: str, council: Council, heard: Sequence[Voice] = ()
) -> Answer:
    """The respondent's answer to a closed question, as a voice with a `choice`.

    `heard` are others' voices of the round before; the respondent is told their answers without their names. Of a voice
    that gave none it hears nothing.

    Raises:
        CallError: a call failed for good, other than by declining to answer.
        UsageError: the persona is not in the council.
    """
    persona = _persona(question, council)
    name = persona.name if persona else "none"
    slot = council.personas.index(persona) % PLAIN_SLOT if persona else PLAIN_SLOT
    call = how_to_call(question, call_seed(seed, name, question.round), slot, persona.name if persona else None)
    system = persona.system_prompt if persona else as_data(question.system)
    spoke = [voice.text for voice in heard if voice.choice is None or voice.choice.answered]
    told = "\n".join(f"Voice {number}: {text}" for number, text in enumerate(spoke, 1))
    choice, replies = await elicit(question, system, told, chat, call)
    voice = Voice(
        persona=name,
        perspective=persona.perspective if persona else "none",
        title=persona.title if persona else "model",
        model=chat.spec.name,
        text=in_words(choice),
        note=choice.note,
        round=question.round,
        seconds=max((reply.seconds for reply in replies), default=0.0),
        usage=total(reply.usage for reply in replies) if replies else Usage(),
        digest=persona.digest if persona else "",
        choice=choice,
    )
    return Answer(
        strategy=strategy,
        text=voice.text,
        model=voice.model,
        prompt=question.system,
        voices=(voice,),
        rounds=(voice,),
        usage=voice.usage,
        seconds=voice.seconds,
        notes=(voice.note,) if voice.note else (),
    )


async def elicit(
    question: ClosedQuestion, system: str, heard: str, chat: Chat, call: Call
) -> tuple[Choice, list[Reply]]:
    """What a model told so answers, and the replies it took. `heard` is what others said, in our own words.

    Draws are made at once, so that with batches all of them go in one.

    Raises:
        CallError: a call failed for good, other than by declining to answer.
    """
    from langchain_core.messages import HumanMessage, SystemMessage

    messages = [*([SystemMessage(system)] if system else []), HumanMessage(_prompt(question, heard))]
    count = question.draws if question.method == "sample" else 1
    calls = [replace(call, seed=call_seed(call.seed or 0, number)) if number else call for number in range(count)]
    drawn = await asyncio.gather(*(_ask(chat, messages, one) for one in calls))
    replies = [reply for reply in drawn if reply is not None]
    read = {"logprobs": _read_logprobs, "verbalised": _read_stated, "sample": _read_draws}[question.method]
    return read(question, [reply.text for reply in replies], count - len(replies)), replies


async def _ask(chat: Chat, messages: Sequence[BaseMessage], call: Call) -> Reply | None:
    """The reply; None where the model declined to answer."""
    try:
        return await chat.complete(messages, call)
    except CallError as error:
        if error.kind != "declined":
            raise
        return None


def how_to_call(question: ClosedQuestion, seed: int, slot: int | None, persona: str | None) -> Call:
    """The parameters of a call that asks a closed question; draws are made at temperature 1."""
    shape = _schema(question) if question.method == "verbalised" else None
    limit = {"logprobs": TOKENS, "sample": DRAW_TOKENS, "verbalised": 40 + 12 * len(question.options)}[question.method]
    return Call(
        max_tokens=limit,
        seed=seed,
        slot=slot,
        response_format=shape,
        temperature=1.0 if question.method == "sample" else None,
        top_logprobs=MOST if question.method == "logprobs" else None,
        tags=("multiplex:closed",),
        persona=persona,
    )


def in_words(choice: Choice) -> str:
    """A choice as a line: each option with its share, or why there is none."""
    if choice.point is not None:
        return choice.options[choice.point]
    if choice.shares is None:
        return f"no answer ({choice.note})"
    return "; ".join(f"{option} {share:.0%}" for option, share in zip(choice.options, choice.shares, strict=True))


def _persona(question: ClosedQuestion, council: Council) -> Persona | None:
    by_name = {persona.name: persona for persona in council.personas}
    if question.persona and question.persona not in by_name:
        raise UsageError(f"no persona {question.persona!r} in the council; it has {', '.join(by_name)}")
    return by_name.get(question.persona)


def _prompt(question: ClosedQuestion, heard: str) -> str:
    options = "\n".join(
        f"{sign}. {as_data(question.options[option])}"
        for sign, option in zip(question.signs, question.order, strict=True)
    )
    form = json.dumps(dict.fromkeys(question.signs, "number")).replace('"number"', "number")
    how = prompt("survey_verbalised", form=form) if question.method == "verbalised" else prompt("survey_logprobs")
    name = "survey_ask" if question.wording == 1 else "survey_ask_2"
    asked = prompt(name, question=as_data(question.text), options=options, how=how)
    again = prompt("survey_again", heard=as_data(heard)) if heard else ""
    return "\n\n".join(part for part in (question.before, again, asked) if part)


def _schema(question: ClosedQuestion) -> dict[str, object]:
    fields = {sign: {"type": "number"} for sign in question.signs}
    schema = {"type": "object", "properties": fields, "required": [*fields], "additionalProperties": False}
    return {"type": "json_schema", "json_schema": {"name": "distribution", "strict": True, "schema": schema}}


def _read_logprobs(question: ClosedQuestion, texts: Sequence[str], refused: int) -> Choice:
    about = {"options": question.options, "method": question.method, "refused": refused}
    if not texts:
        return Choice(**about, note="the model declined to answer")
    found = read_alternatives(texts[0], question.signs)
    if (inside := math.fsum(found.inside)) < LEAST_INSIDE:
        why = f"only {inside:.1%} of the next token's probability lies on the options' letters"
        return Choice(**about, outside=found.outside, unreadable=1, note=why)
    shares = question.by_option([each / inside for each in found.inside])
    return Choice(**about, shares=shares, outside=found.outside, readable=1)


def _read_stated(question: ClosedQuestion, texts: Sequence[str], refused: int) -> Choice:
    about = {"options": question.options, "method": question.method, "refused": refused}
    if not texts:
        return Choice(**about, note="the model declined to answer")
    stated = _stated(texts[0], question.signs)
    if isinstance(stated, str):
        return Choice(**about, unreadable=1, note=stated)
    total_share = math.fsum(stated)
    whole = min((1.0, 100.0), key=lambda each: abs(math.log(total_share / each)))
    note = f"stated shares sum to {total_share / whole:.0%}" if abs(total_share / whole - 1) > SUM_SLACK else None
    shares = question.by_option([each / total_share for each in stated])
    return Choice(**about, shares=shares, readable=1, note=note)


def _stated(text: str, signs: Sequence[str]) -> list[float] | str:
    """The stated number of each sign, or why there is none."""
    for candidate in _OBJECT.findall(text):
        try:
            found = json.loads(candidate)
        except (ValueError, RecursionError):
            continue
        values = [found.get(sign) for sign in signs]
        if any(isinstance(value, bool) or not isinstance(value, int | float) for value in values):
            return "the reply lacks a number for an option"
        if any(not math.isfinite(value) or value < 0 for value in values) or not math.fsum(values):
            return "the reply's numbers are no distribution"
        return [float(value) for value in values]
    return "the reply holds no JSON object"


def _read_draws(question: ClosedQuestion, texts: Sequence[str], refused: int) -> Choice:
    about = {"options": question.options, "method": question.method, "refused": refused}
    drawn = [_drawn(text, question) for text in texts]
    readable = [place for place in drawn if place is not None]
    counted = {"readable": len(readable), "unreadable": len(drawn) - len(readable)}
    if not readable:
        return Choice(**about, **counted, note="no draw could be read" if texts else "the model declined to answer")
    if question.draws == 1:
        return Choice(**about, **counted, point=question.order[readable[0]])
    counts = Counter(readable)
    shares = question.by_option([counts[place] / len(readable) for place in range(len(question.order))])
    return Choice(**about, **counted, shares=shares)


def _drawn(text: str, question: ClosedQuestion) -> int | None:
    """The place in the prompt of the one option that a reply names, by its sign or in the option's words; else None."""
    word = text.strip().strip("*_`\"'()[] ")
    match = re.match(r"(\w+)(?:[.):,]|$)", word)
    if match and match.group(1) in question.signs:  # before the words: options may be numbers too
        return question.signs.index(match.group(1))
    words = word.rstrip(".")
    named = (place for place, option in enumerate(question.order) if question.options[option].strip() == words)
    return next(named, None)
