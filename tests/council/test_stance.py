"""Stances: what each voice would choose, by one method for all, and whether the voices are split."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from multiplex.council.answer import Answer, Choice, Voice
from multiplex.council.order import Order
from multiplex.council.personas import Council
from multiplex.council.stance import add_stances, read_options
from multiplex.errors import UsageError
from multiplex.llm.chat import Chat
from multiplex.llm.spec import parse_spec
from multiplex.present.stance import agreement, stance_band, stance_lines
from tests.backend import Backend, Body, Say

COUNCIL = Council.load("islamic", "african", "western")


def spoken(**errors: str) -> Answer:
    voices = tuple(
        Voice(persona=p.name, perspective=p.perspective, title=p.title, model="m", text="…", error=errors.get(p.name))
        for p in COUNCIL.personas
    )
    return Answer(strategy="multiplex", text="…", model="m", voices=voices)


async def ask(backend: Backend, answer: Answer) -> Any:
    chat = Chat(parse_spec("m", backend.base_url), transport="whole")
    try:
        return await add_stances(
            answer, ("agree", "disagree"), question="Should the old decide?", council=COUNCIL, chat=chat,
            voice_models={}, seed=7,
        )  # fmt: skip
    finally:
        await chat.aclose()


def test_voices_that_spoke_are_asked_in_words_where_the_endpoint_has_no_log_probabilities(backend: Backend) -> None:
    def script(body: Body, _: int) -> Say:
        text = body["messages"][-1]["content"]
        if body.get("logprobs"):
            return Say("A")
        agrees = 20 if COUNCIL.personas[0].system_prompt in body["messages"][0]["content"] else 90
        first = "A" if "A. agree" in text else "B"
        return Say(str({"A": agrees if first == "A" else 100 - agrees, "B": 100 - agrees if first == "A" else agrees})
                   .replace("'", '"'))  # fmt: skip

    backend.script = script
    answer = asyncio.run(ask(backend, spoken(western="lost")))
    by_name = {voice.persona: voice.choice for voice in answer.voices}
    assert by_name["western"] is None
    assert by_name["islamic"].shares == pytest.approx((0.2, 0.8))
    assert by_name["african"].shares == pytest.approx((0.9, 0.1))
    assert {choice.method for choice in by_name.values() if choice} == {"verbalised"}
    assert agreement(answer) == "Split: 1 lean to 'disagree' (Islamic); 1 lean to 'agree' (African); 1 gave no stance."
    assert stance_lines(answer)[0] == "Islamic: agree 20%, disagree 80%"
    assert stance_band(answer).count('<tr><th scope="row">') == 2
    assert re.search(r"flex: 0\.9000 1 0", stance_band(answer))


def test_a_call_that_fails_costs_its_voice_alone_and_every_reply_is_counted(backend: Backend) -> None:
    top = [{"token": sign, "logprob": -0.7} for sign in "AB"]

    def script(body: Body, number: int) -> Say:
        if COUNCIL.personas[0].system_prompt in body["messages"][0]["content"]:
            return Say(status=403)
        return Say("A", logprobs={"content": [{**top[0], "top_logprobs": top}]})

    backend.script = script
    answer = asyncio.run(ask(backend, spoken()))
    by_name = {voice.persona: voice.choice for voice in answer.voices}
    assert {choice.method for choice in by_name.values()} == {"logprobs"}
    assert (by_name["islamic"].shares, by_name["african"].shares) == (None, pytest.approx((0.5, 0.5)))
    assert "403" in by_name["islamic"].note
    assert answer.usage.calls == 4
    backend.requests.clear()
    backend.script = lambda body, n: Say("A") if body.get("logprobs") else Say('{"A": 60, "B": 40}')
    answer = asyncio.run(ask(backend, spoken()))
    assert answer.usage.calls == len(backend.requests) == 3 * (1 + 2)


def test_a_small_voice_states_no_stance_and_a_speaker_is_checked_before_a_call() -> None:
    small = Chat(parse_spec("local"))
    about = {"model": Chat(parse_spec("m", "http://127.0.0.1:9/v1")), "council": COUNCIL}
    with pytest.raises(UsageError, match="--stance: a small model"):
        Order.of("Should the old decide?", **about, voice_models={"islamic": small}, stance=("yes", "no"))
    with pytest.raises(UsageError, match="is a small model and cannot answer other voices"):
        Order.of("Should the old decide?", **about, voice_models={"islamic": small}, rounds=2)


@pytest.mark.parametrize(
    ("shares", "told"),
    [
        ([(0.9, 0.1), (0.6, 0.4), (0.7, 0.3)], "Aligned: 3 lean to 'agree'"),
        ([(0.9, 0.1), (0.5, 0.5), (0.7, 0.3)], "Open: 2 lean to 'agree' (Islamic, Western); 1 to none"),
        ([(0.9, 0.1), None, (0.7, 0.3)], "Open: 2 lean to 'agree' (Islamic, Western); 1 gave no stance"),
        ([None, None, None], "No voice gave a stance"),
    ],
)
def test_voices_are_aligned_only_where_all_were_asked(shares: list[tuple[float, float] | None], told: str) -> None:
    answer = spoken()
    choices = [Choice(options=("agree", "disagree"), method="logprobs", shares=each) for each in shares]
    voices = [v.model_copy(update={"choice": c}) for v, c in zip(answer.voices, choices, strict=True)]
    assert agreement(answer.model_copy(update={"voices": tuple(voices)})).startswith(told)


def test_options_that_cannot_be_told_apart_are_refused() -> None:
    assert read_options("agree| disagree |") == ("agree", "disagree")
    for wrong in ("agree", "a|a", "|".join("abcdefghij")):
        with pytest.raises(UsageError, match="such as agree"):
            read_options(wrong)
