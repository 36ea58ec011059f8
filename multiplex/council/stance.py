"""Each voice's stance on a closed question that the user writes: how likely it is to choose each option."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from multiplex.council.answer import Answer, Choice, Voice
from multiplex.council.closed import ClosedQuestion, Method, elicit, how_to_call
from multiplex.council.personas import Council, Persona
from multiplex.council.seeds import call_seed
from multiplex.errors import CallError, UsageError
from multiplex.llm.chat import Chat
from multiplex.llm.usage import spent_on, total

MOST = 9  # options of a stance


def read_options(text: str) -> tuple[str, ...]:
    """The options that `agree|disagree` names.

    Raises:
        UsageError: fewer than two, more than nine, or one twice.
    """
    options = tuple(option.strip() for option in text.split("|") if option.strip())
    if not 2 <= len(options) <= MOST or len(set(options)) < len(options):
        raise UsageError(f"--stance {text!r}: from two to {MOST} different options, such as agree|disagree")
    return options


async def add_stances(
    answer: Answer,
    options: tuple[str, ...],
    *,
    question: str,
    council: Council,
    chat: Chat,
    voice_models: Mapping[str, Chat],
    seed: int,
) -> Answer:
    """The answer with the `choice` of every voice that spoke, by log probabilities or else in words, for all alike.

    Each is asked twice, with the options as written and reversed, and the two are averaged. A voice whose stance cannot
    be had has a choice without shares that says why. `voice_models` are by perspective, in place of `chat`.
    """
    personas = {persona.perspective: persona for persona in council.personas}
    spoken = [voice for voice in answer.voices if voice.error is None and voice.perspective in personas]

    async def ask(voices: Sequence[Voice], method: Method) -> tuple[list[Voice], bool]:
        of = ((personas[voice.perspective], voice_models.get(voice.perspective, chat)) for voice in voices)
        each = (_stance(voice, *who, question, options, seed, method) for voice, who in zip(voices, of, strict=True))
        heard = await asyncio.gather(*each)
        return [voice for voice, _ in heard], any(refused for _, refused in heard)

    asked, refused = await ask(spoken, "logprobs")
    if refused:  # an endpoint without log probabilities; what else it lacks, the other method will tell
        asked, _ = await ask(asked, "verbalised")
    found = {(voice.perspective, voice.round): voice for voice in asked}
    every = {
        name: tuple(found.get((voice.perspective, voice.round), voice) for voice in voices)
        for name, voices in (("voices", answer.voices), ("rounds", answer.rounds))
    }
    more = total(voice.usage for voice in asked)
    less = total(voice.usage for voice in spoken)
    usage = answer.usage.model_copy(
        update={
            name: None if (a := getattr(answer.usage, name)) is None or (b := getattr(more, name)) is None
            or (c := getattr(less, name)) is None else a + b - c
            for name in ("calls", "input_tokens", "output_tokens")
        }
    )  # fmt: skip
    return answer.model_copy(update={**every, "usage": usage})


async def _stance(
    voice: Voice, persona: Persona, chat: Chat, question: str, options: tuple[str, ...], seed: int, method: Method
) -> tuple[Voice, bool]:
    """The voice with its choice and with what that cost, and whether the endpoint refused the method."""
    places = tuple(range(len(options)))
    found, usage, refused = list[Choice](), voice.usage, False
    try:
        for number, order in enumerate((places, places[::-1])):
            closed = ClosedQuestion(text=question, options=options, order=order, method=method)
            call = how_to_call(closed, call_seed(seed, "stance", persona.name, number), None, persona.name)
            choice, replies = await elicit(closed, persona.system_prompt, "", chat, call)
            usage = total((usage, *(reply.usage for reply in replies)))
            found.append(choice)
    except CallError as error:
        usage, refused = usage + spent_on(error), error.kind == "bad_request"
        found.append(Choice(options=options, method=method, note=str(error)))
    return voice.model_copy(update={"choice": average(found), "usage": usage}), refused


def average(choices: Sequence[Choice]) -> Choice:
    """Several choices between the same options as one: the mean of the shares that could be read."""
    known = [choice.shares for choice in choices if choice.shares is not None]
    outside = [choice.outside for choice in choices if choice.outside is not None]
    return choices[0].model_copy(
        update={
            "shares": tuple(sum(column) / len(known) for column in zip(*known, strict=True)) if known else None,
            "outside": sum(outside) / len(outside) if outside else None,
            "readable": sum(choice.readable for choice in choices),
            "refused": sum(choice.refused for choice in choices),
            "unreadable": sum(choice.unreadable for choice in choices),
            "note": next((choice.note for choice in choices if choice.note), None),
        }
    )
