"""Closed questions: what is read from replies of each method, and what is never made of a reply that says nothing."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Sequence
from typing import Any

import pytest

from multiplex.council.answer import Choice, Voice
from multiplex.council.closed import ClosedQuestion, ask_closed
from multiplex.council.personas import Council
from multiplex.errors import CallError
from multiplex.llm.chat import Chat
from multiplex.llm.spec import parse_spec
from tests.backend import Backend, Body, Say

OPTIONS = ("Very good", "good", "Good", "Bad")  # two differ by case alone


def alternatives(**mass: float) -> Body:
    """The log probabilities of a token of that text, as endpoints send them."""
    told = [{"token": token, "logprob": math.log(value)} for token, value in mass.items()]
    told.sort(key=lambda each: -each["logprob"])
    return {"content": [{**told[0], "top_logprobs": told}]}


def ask(backend: Backend, **about: Any) -> Choice:
    about = {"options": OPTIONS, "order": (0, 1, 2, 3)} | about
    question = ClosedQuestion(text="How is it?", **about)
    answer = asyncio.run(_asked(backend, question))
    (voice,) = answer.voices
    assert voice.choice is not None
    return voice.choice


async def _asked(backend: Backend, question: ClosedQuestion, heard: Sequence[Voice] = ()) -> Any:
    chat = Chat(parse_spec("m", backend.base_url), transport="whole")
    try:
        return await ask_closed(question, chat, 7, "plain", Council.load(), heard)
    finally:
        await chat.aclose()


def test_log_probabilities_are_put_back_into_the_order_of_the_question(backend: Backend) -> None:
    mass = {" A": 0.3, "(A": 0.1, "B.": 0.2, "a": 0.3, "I": 0.1}
    backend.script = lambda body, n: Say("A", logprobs=alternatives(**mass))
    choice = ask(backend, order=(3, 2, 1, 0))
    assert choice.shares == pytest.approx((0, 0, 1 / 3, 2 / 3))
    assert choice.outside == pytest.approx(0.4)
    assert backend.requests[0]["top_logprobs"] == 20
    assert "A. Bad\nB. Good\nC. good\nD. Very good" in backend.requests[0]["messages"][-1]["content"]


def test_the_first_sign_of_a_split_answer_is_passed_over(backend: Backend) -> None:
    logprobs = {"content": [*alternatives(**{"(": 0.99, "A": 0.01})["content"], *alternatives(B=0.9, C=0.1)["content"]]}
    backend.script = lambda body, n: Say("(B)", logprobs=logprobs)
    assert ask(backend).shares == pytest.approx((0, 0.9, 0.1, 0))


@pytest.mark.parametrize(
    ("method", "say", "told"),
    [
        ("logprobs", Say("I", logprobs=alternatives(I=0.9, As=0.09, A=0.01)), "only 1.0% of the next token's"),
        ("verbalised", Say("I cannot say."), "no JSON object"),
        ("verbalised", Say('{"A": 50, "B": 50}'), "lacks a number"),
        ("verbalised", Say('{"A": -1, "B": 50, "C": 1, "D": 1}'), "no distribution"),
        ("verbalised", Say('{"A": 0, "B": 0, "C": 0, "D": 0}'), "no distribution"),
        ("sample", Say("I would rather not choose."), "no draw could be read"),
    ],
)
def test_an_unreadable_reply_is_counted_and_asked_once(backend: Backend, method: Any, say: Say, told: str) -> None:
    backend.script = lambda body, n: say
    choice = ask(backend, method=method, draws=3 if method == "sample" else 1)
    assert (choice.shares, choice.point) == (None, None)
    assert choice.unreadable == len(backend.requests) == (3 if method == "sample" else 1)
    assert told in str(choice.note)


def test_a_refusal_is_no_answer_and_no_failure(backend: Backend) -> None:
    backend.script = lambda body, n: Say("", more={"refusal": "I do not answer this."})
    choice = ask(backend, method="verbalised")
    assert (choice.shares, choice.refused, choice.unreadable) == (None, 1, 0)


def test_a_stated_distribution_is_divided_by_its_sum_and_that_is_told(backend: Backend) -> None:
    backend.script = lambda body, n: Say('Sure: {"A": 60, "B": 20, "C": 20, "D": 20}.')
    choice = ask(backend, method="verbalised")
    assert choice.shares == pytest.approx((0.5, 1 / 6, 1 / 6, 1 / 6))
    assert choice.note == "stated shares sum to 120%"


def test_draws_are_counted_and_one_draw_is_a_point(backend: Backend) -> None:
    said = ["B", "C.", "Good", "good", "(A)", "no idea"]
    backend.script = lambda body, n: Say(said[n % 6])
    choice = ask(backend, method="sample", draws=6)
    assert choice.shares == pytest.approx((1 / 5, 2 / 5, 2 / 5, 0))
    assert (choice.readable, choice.unreadable) == (5, 1)
    assert len({body["seed"] for body in backend.requests}) == 6
    backend.script = lambda body, n: Say("C")
    point = ask(backend, method="sample", draws=1)
    assert (point.shares, point.point) == (None, 2)


TEN = tuple(map(str, range(1, 11)))


def test_a_refusal_that_begins_with_i_is_no_option(backend: Backend) -> None:
    backend.script = lambda body, n: Say("I", logprobs=alternatives(I=0.97, A=0.01, J=0.01, K=0.01))
    choice = ask(backend, options=TEN, order=tuple(range(10)))
    assert (choice.shares, choice.unreadable) == (None, 1)
    backend.script = lambda body, n: Say("I, as an AI model, cannot choose.")
    assert ask(backend, options=TEN, order=tuple(range(10)), method="sample").unreadable == 1
    signs = ClosedQuestion(text="", options=TEN, order=tuple(range(10))).signs
    assert "".join(signs) == "ABCDEFGHJK"


def test_a_number_is_the_label_that_stands_before_an_option(backend: Backend) -> None:
    backend.script = lambda body, n: Say("2")
    numbered = {"options": TEN[:5], "order": (4, 3, 2, 1, 0), "method": "sample"}
    assert ask(backend, **numbered, labels="numbers").point == 3
    assert ask(backend, **numbered).point == 1  # no label but letters, so it is the option's own words


def test_an_endpoint_without_log_probabilities_fails_and_says_what_to_use(backend: Backend) -> None:
    with pytest.raises(CallError, match="no log probabilities of tokens; ask with the method verbalised or sample"):
        ask(backend)


def test_a_voice_of_a_later_round_hears_the_others_without_their_names(backend: Backend) -> None:
    backend.script = lambda body, n: Say(json.dumps({"A": 40, "B": 30, "C": 20, "D": 10}))
    question = ClosedQuestion(
        text="How is it?", options=OPTIONS, order=(0, 1, 2, 3), method="verbalised", round=2, persona="islamic"
    )
    others = [Voice(persona=p, perspective=p, title=p, model="m", text=f"Bad {n}%") for n, p in enumerate("xy", 61)]
    silent = Choice(options=OPTIONS, method="verbalised", note="the model declined to answer")
    others.append(others[0].model_copy(update={"text": "no answer (declined)", "choice": silent}))
    answer = asyncio.run(_asked(backend, question, others))
    assert [(voice.persona, voice.round, voice.text) for voice in answer.voices] == [
        ("islamic", 2, "Very good 40%; good 30%; Good 20%; Bad 10%")
    ]
    asked = backend.requests[0]["messages"][-1]["content"]
    assert "Voice 1: Bad 61%\nVoice 2: Bad 62%" in asked
    assert "Voice 3" not in asked
