"""What a question would take, told before anything is sent, is what it then takes."""

from __future__ import annotations

from pathlib import Path

import pytest
from langchain_core.messages import HumanMessage

from multiplex.council.personas import Council
from multiplex.council.planning import plan_near
from multiplex.llm.chat import Chat
from multiplex.llm.dry_run import FakeChat
from multiplex.llm.prices import Prices
from multiplex.llm.spec import ModelSpec
from multiplex.serve.conversation.request import TurnRequest
from multiplex.serve.openai.schema import ApiError
from multiplex.serve.openai.served_models import COUNCIL_STRATEGY, offers
from multiplex.serve.page.backend import PageQuestion, _stance
from multiplex.serve.page.cost_estimate import CostEstimate, _places, estimated
from tests.backend import Body, running
from tests.serve.luck import QUESTION
from tests.serve.page.scripted import SIMPLY_ASKED, SYNTHESIZER, VOICES
from tests.serve.page.visit import House, Page, calls, opened, told


def in_tokens(bodies: list[Body]) -> float:
    """The input of requests in tokens of four characters."""
    return sum(len(message["content"]) for body in bodies for message in body["messages"]) / 4


WAYS = [["uniplex"], ["contextual"], ["multiplex"], ["uniplex", "multiplex"], ["uniplex", "contextual", "multiplex"]]


@pytest.mark.parametrize("ways", WAYS, ids="+".join)
def test_the_calls_that_are_told_are_those_that_are_made(house: House, ways: list[str]) -> None:
    house.play.change(VOICES, text="Elders come first in this. " * 44)  # as long as the prompt asks for
    house.play.change([SYNTHESIZER, SIMPLY_ASKED], text="Elders come first in this. " * 100)
    after = None
    for question in (QUESTION, "And the unborn?", "And those who are far away?"):
        told_before = house.page.estimate(question, strategies=ways, after=after)
        assert house.backend.requests == []
        after = house.page.answered(question, strategies=ways, after=after)["id"]
        made = list(house.backend.requests)
        house.backend.requests.clear()
        assert told_before["calls"] == len(made)
        assert told_before["paid"] is True
        assert told_before["usd"] is None
        assert told_before["input_tokens"] == pytest.approx(in_tokens(made), rel=0.15)


def test_before_a_question_is_written_one_of_middling_length_is_reckoned_with(house: House) -> None:
    empty, short, long = (house.page.estimate(text) for text in (" ", "Why?", "Why is it so? " * 400))
    assert empty["calls"] == short["calls"] == 9
    assert 0.8 < short["input_tokens"] / empty["input_tokens"] < 1.2  # positions near the question come and go
    assert empty["input_tokens"] < long["input_tokens"]
    assert house.backend.requests == []


def test_money_is_told_for_models_whose_price_is_known(house: House, tmp_path: Path) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text('"test-model" = { input = 2.0, output = 10.0 }\n"other" = { input = 0.0, output = 1.0 }\n')
    flags = (
        "--ui",
        "--prices",
        str(prices),
        "--voice-model",
        "african=other",
        "--ui-model",
        "third",
        "--ui-model",
        "other",
    )
    with opened(house.backend, *flags) as served:
        page = Page(served)
        assert [each["name"] for each in page.get("/page/setup")["models"]] == ["test-model", "third", "other"]
        before = page.estimate(strategies=["uniplex"])
        assert before["usd"] == pytest.approx((before["input_tokens"] * 2 + before["output_tokens"] * 10) / 1e6)
        plain = page.estimate(strategies=["uniplex"], model="other")
        assert plain["usd"] == pytest.approx(plain["output_tokens"] / 1e6)
        assert page.estimate(strategies=["uniplex"], model="third")["usd"] is None
        mixed = page.estimate(strategies=["multiplex"])
        assert 0 < mixed["usd"] < (mixed["input_tokens"] * 2 + mixed["output_tokens"] * 10) / 1e6
        assert page.estimate(strategies=["multiplex"], model="third")["usd"] is None
        assert house.backend.requests == []
        shown = page.answered(strategies=["multiplex"])
        assert [body["model"] for body in calls(house.backend, "african")] == ["other"]
        usages = {body["model"]: [0, 0] for body in house.backend.requests}
        answer = shown["answers"]["multiplex"]
        african = next(voice for voice in shown["voices"] if voice["perspective"] == "african")
        assert african["model"] == "other"
        usages["other"] = [african["usage"]["input_tokens"], african["usage"]["output_tokens"]]
        rest = [
            answer["usage"][side] - usages["other"][at] for at, side in enumerate(("input_tokens", "output_tokens"))
        ]
        assert answer["usd"] == pytest.approx((rest[0] * 2 + rest[1] * 10 + usages["other"][1]) / 1e6)


def test_every_place_where_a_question_goes_is_told() -> None:
    own, other = Chat(ModelSpec(name="local", model="local")), Chat(ModelSpec(name="openai:x", model="x"))
    offered = offers({})
    council = TurnRequest(offer=offered[COUNCIL_STRATEGY], messages=(), chat=own, voice_models={"african": other})
    plain = TurnRequest(offer=offered["uniplex"], messages=(), chat=own)
    assert _places([plain, council]) == ("this machine", "OpenAI")
    assert _places([plain]) == ("this machine",)


async def test_the_calls_of_the_embedded_model_are_told_and_none_is_made(tmp_path: Path) -> None:
    council = Council.load()
    offered = offers({"default": council})
    asking = sum(bool(near) for near in plan_near(QUESTION, council, council.perspectives).values())
    embedded = Chat(ModelSpec(name="local", model="local", synthesis="composed", gguf=str(tmp_path / "not-there.gguf")))
    asked = {name: TurnRequest(offer=offered[name], messages=(HumanMessage(QUESTION),), chat=embedded)
             for name in (COUNCIL_STRATEGY, "uniplex")}  # fmt: skip
    assert await estimated(asked.values(), Prices()) == CostEstimate(asking + 1, paid=False, places=("this machine",))
    copy = FakeChat(embedded.spec).with_transport("whole")
    assert isinstance(copy, FakeChat)


def test_what_a_small_model_may_not_say_is_refused_before_anything_is_asked(house: House) -> None:
    with opened(house.backend, env={"MULTIPLEX_SYNTHESIS": "composed"}) as served:
        for path in ("/page/estimate", "/page/answers"):
            reply = Page(served).post(path, question=QUESTION, strategies=["multiplex", "contextual"])
            assert "small model" in told(reply, 400)
    assert house.backend.requests == []


def test_no_small_voice_among_others_is_asked_to_choose() -> None:
    capable, small = (Chat(ModelSpec(name="m", model="m", synthesis=way)) for way in ("written", "composed"))
    offer = offers({})[COUNCIL_STRATEGY]
    mixed = TurnRequest(offer=offer, messages=(), chat=capable, voice_models={"african": small})
    with pytest.raises(ApiError, match="a small model states nothing"):
        _stance(PageQuestion(question=QUESTION, stance="a|b"), mixed)


def test_the_model_that_is_chosen_answers(house: House) -> None:
    with opened(house.backend, "--ui-model", "second") as served:
        page = Page(served)
        shown = page.answered(model="second")
        assert shown["model"] == "second"
        assert {body["model"] for body in house.backend.requests} == {"second"}
        message = told(page.post("/page/answers", question=QUESTION, model="third"), 404, code="model_not_found")
        assert "test-model, second" in message


def test_an_essay_that_may_be_revised_is_told_as_one_more_call() -> None:
    with running() as backend, opened(backend, "--check", "model") as served:
        both, plain = (Page(served).estimate(strategies=ways) for ways in (["multiplex", "uniplex"], ["uniplex"]))
        assert (both["calls"], both["revisions"]) == (10, 1)
        assert (plain["calls"], plain["revisions"]) == (1, 0)
        assert backend.requests == []
