"""Every field of a request is honoured, passed to the endpoint, or refused by name; nothing is dropped in silence."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from multiplex.serve.openai.fields import HONOURED, NEUTRAL
from multiplex.serve.openai.schema import ChatRequest
from multiplex.serve.openai.stop_sequences import StopFilter
from tests.backend import Backend, Say
from tests.serve.conftest import House
from tests.serve.luck import council, events, said
from tests.serve.server import serving

TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
TRANSCRIPT = [
    {"role": "user", "content": "How warm is it?"},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c1", "content": "20 degrees"},
]


def test_every_field_of_the_schema_has_its_place() -> None:
    assert set(ChatRequest.model_fields) == HONOURED | set(NEUTRAL) | {"stop"}


@pytest.mark.parametrize("streamed", [False, True])
def test_a_single_call_passes_on_what_it_is_given(house: House, streamed: bool) -> None:
    given = {
        "stop": ["END"], "top_p": 0.5, "presence_penalty": 0.1, "frequency_penalty": 0.2, "logit_bias": {"5": 1.0},
        "tools": [TOOL], "tool_choice": "required", "response_format": {"type": "json_object"}, "top_k": 3, "seed": 4,
        "temperature": 0.1, "max_tokens": 9, "user": "pupil",
    }  # fmt: skip
    assert house.served.chat(model="uniplex", stream=streamed, **given).status_code == 200
    sent = house.backend.requests[0]
    assert {name: sent[name] for name in given if name != "seed"} == {k: v for k, v in given.items() if k != "seed"}


def test_a_conversation_with_tools_reaches_the_endpoint_as_it_is(house: House) -> None:
    assert house.served.chat(model="uniplex", messages=TRANSCRIPT, tools=[TOOL]).status_code == 200
    assert house.backend.requests[0]["messages"] == TRANSCRIPT


@pytest.mark.parametrize("model", ["multiplex", "uniplex"])
def test_a_reply_that_a_client_sends_back_brings_the_endpoint_no_field_of_ours(house: House, model: str) -> None:
    house.backend.script = council
    ask = {"role": "user", "content": "What do we owe the dead?"}
    reply = house.served.chat(model=model).json()["choices"][0]["message"]
    house.backend.requests.clear()
    assert (
        house.served.chat(model="uniplex", messages=[ask, reply | {"audio": None}, ask], top_p=0.5).status_code == 200
    )
    assert house.backend.requests[0]["messages"] == [ask, {"role": "assistant", "content": reply["content"]}, ask]


@pytest.mark.parametrize("streamed", [False, True])
def test_calls_of_tools_come_back(house: House, streamed: bool) -> None:
    house.backend.script = lambda body, n: Say("", more={"tool_calls": [{"index": 0, **CALL}]}, finish="tool_calls")
    response = house.served.chat(model="uniplex", tools=[TOOL], stream=streamed)
    if streamed:
        choices = [event["choices"][0] for event in events(response.text)[:-1]]
        calls = next(each["delta"]["tool_calls"] for each in choices if "tool_calls" in each["delta"])
        assert choices[-1]["finish_reason"] == "tool_calls"
    else:
        choice = response.json()["choices"][0]
        calls = choice["message"]["tool_calls"]
        assert choice["finish_reason"] == "tool_calls"
        assert choice["message"]["content"] is None
    assert calls == [{"index": 0, **CALL}]


@pytest.mark.parametrize("streamed", [False, True])
def test_what_was_thought_before_a_call_goes_to_the_client_and_back(house: House, streamed: bool) -> None:
    more = {"reasoning_content": "I ask.", "tool_calls": [{"index": 0, **CALL}]}
    house.backend.script = lambda body, n: Say("", more=more, finish="tool_calls")
    response = house.served.chat(model="uniplex", tools=[TOOL], stream=streamed)
    if streamed:
        deltas = [event["choices"][0]["delta"] for event in events(response.text)[:-1]]
        message = {"role": "assistant"} | next(delta for delta in deltas if "tool_calls" in delta)
    else:
        message = response.json()["choices"][0]["message"]
    history = [{"role": "user", "content": "How warm is it?"}, message, TRANSCRIPT[-1]]
    house.served.chat(model="uniplex", messages=history, tools=[TOOL])
    sent = house.backend.requests[-1]["messages"][1]
    assert (sent["reasoning_content"], "multiplex" in sent) == ("I ask.", False)


@pytest.mark.parametrize("streamed", [False, True])
def test_log_probabilities_come_back(house: House, streamed: bool) -> None:
    told = {"content": [{"token": "Kin", "logprob": -0.1, "bytes": None, "top_logprobs": []}]}
    house.backend.script = lambda body, n: Say("Kin", logprobs=told)
    response = house.served.chat(model="uniplex", logprobs=True, top_logprobs=2, stream=streamed)
    choices = [event["choices"][0] for event in events(response.text)[:-1]] if streamed else response.json()["choices"]
    assert [choice["logprobs"] for choice in choices if choice["logprobs"] is not None] == [told]


def test_thinking_is_not_passed_on(house: House) -> None:
    house.backend.script = lambda body, n: Say("<think>Hm.</think>Kin first.")
    streamed = events(house.served.chat(model="uniplex", top_p=0.5, stream=True).text)
    whole = house.served.chat(model="uniplex", top_p=0.5).json()
    assert said(streamed) == whole["choices"][0]["message"]["content"] == "Kin first."
    assert "completion_tokens_details" not in whole["usage"]  # how many of them were thinking the endpoint did not say


@pytest.mark.parametrize(
    "field",
    [
        {"top_p": 0.5}, {"presence_penalty": 1.0}, {"frequency_penalty": 1.0}, {"logit_bias": {"5": 1.0}},
        {"logprobs": True}, {"tools": [TOOL]}, {"tool_choice": "required"}, {"store": True},
        {"response_format": {"type": "json_object"}}, {"reasoning_effort": "high"},
    ],
)  # fmt: skip
def test_a_council_refuses_what_it_cannot_honour(house: House, field: dict[str, Any]) -> None:
    response = house.served.chat(**field)
    error = response.json()["error"]
    assert response.status_code == 400
    assert (error["param"], error["code"]) == (next(iter(field)), "unsupported_parameter")
    assert "leave it out, or ask the model 'uniplex'" in error["message"]
    assert house.backend.requests == []


def test_a_council_takes_values_that_ask_for_nothing_and_names_what_it_did_not_use(house: House) -> None:
    house.backend.script = council
    nothing = {
        "top_p": 1,
        "presence_penalty": 0,
        "tools": [],
        "stop": None,
        "response_format": {"type": "text"},
        "n": 1,
    }
    begun = {"role": "assistant", "content": "Because"}
    asked = [*TRANSCRIPT, {"role": "user", "content": "And why?"}, begun]
    message = house.served.chat(messages=asked, top_k=4, **nothing)
    assert message.status_code == 200, message.text
    notes = message.json()["choices"][0]["message"]["multiplex"]["notes"]
    assert "not used by a council: top_k" in notes
    assert any("no results of tools: 1 of the messages" in note for note in notes)
    assert any("goes on with no answer: 1 of the messages, after the question" in note for note in notes)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_councils_answer_ends_before_a_stop_sequence(house: House, streamed: bool) -> None:
    house.backend.script = council
    response = house.served.chat(stop=[" Zakat", "never"], stream=streamed, measures=True)
    message = response.json()["choices"][0]["message"] if not streamed else {"content": said(events(response.text))}
    assert message["content"] == "Ubuntu shares the care."
    last = message if not streamed else events(response.text)[-2]["choices"][0]["delta"]
    assert last["multiplex"]["measures"]["words"] == 4


def test_a_stop_sequence_is_found_across_pieces() -> None:
    stop = StopFilter(["ab", "xyz"])
    assert [stop.feed("1x"), stop.feed("y2a"), stop.feed("b3"), stop.feed("", last=True)] == ["1", "xy2", "", ""]
    assert stop.hit


@pytest.mark.parametrize("model", ["multiplex", "uniplex"])
@pytest.mark.parametrize("fields", [{}, {"user": "pupil"}])
def test_an_endpoints_400_stays_one_and_is_not_tried_again(house: House, model: str, fields: dict[str, Any]) -> None:
    house.backend.script = lambda body, n: Say(status=400, error={"message": "the question is not allowed"})
    response = house.served.chat(model=model, **fields)
    assert response.status_code == 400
    assert response.headers["x-should-retry"] == "false"
    assert response.json()["error"]["code"] == "model_bad_request"
    assert "the question is not allowed" in response.json()["error"]["message"]


def test_what_the_caller_did_not_ask_for_is_left_out_where_the_endpoint_refuses_it_and_told(house: House) -> None:
    refusal = Say(status=400, error={"message": "temperature is not supported"})
    house.backend.script = lambda body, n: refusal if "temperature" in body else Say()
    for seen in (1, 2):  # the second request profits from the first
        done = house.served.chat(model="uniplex", top_p=0.5).json()["choices"][0]["message"]["multiplex"]
        assert [note.partition(" refuses ")[2] for note in done["notes"]] == ["temperature 0.7; it was left out"]
        assert len(house.backend.requests) == 1 + seen
    assert house.served.chat(model="uniplex", top_p=0.5, temperature=0.3).status_code == 400
    assert house.backend.requests[-1]["temperature"] == 0.3


def test_a_request_that_is_passed_on_is_adapted_and_repeated_as_any_other(house: House) -> None:
    def script(body: dict[str, Any], n: int) -> Say:
        if n == 0:
            return Say("One", finish="abort")
        if "max_tokens" in body:
            return Say(status=400, error={"message": "use max_completion_tokens", "param": "max_tokens"})
        return Say("One two.")

    house.backend.script = script
    response = house.served.chat(model="uniplex", top_p=0.5, max_tokens=4).json()
    sent = [(body.get("max_tokens"), body.get("max_completion_tokens")) for body in house.backend.requests]
    assert sent == [(4, None), (4, None), (None, 4)]
    assert response["choices"][0]["message"]["content"] == "One two."
    assert response["usage"]["completion_tokens"] == 3  # with that of the attempt that was of no use


def test_no_limit_may_be_said_as_minus_one(house: House) -> None:
    assert house.served.chat(model="uniplex", max_tokens=-1).status_code == 200
    assert "max_tokens" not in house.backend.requests[0]
    assert house.served.chat(model="uniplex", max_tokens=0).json()["error"]["param"] == "max_tokens"


def test_empty_turns_and_refusals_keep_their_place(house: House) -> None:
    history = [
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": ""},
        {"role": "user", "content": "Two?"},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
        {"role": "user", "content": "Three?"},
        {"role": "assistant", "content": [{"type": "output_text", "text": "Yes."}]},
        {"role": "user", "content": "Four?"},
    ]
    house.served.chat(model="uniplex", messages=history)
    said_to = [(each["role"], each["content"]) for each in house.backend.requests[0]["messages"]]
    assert said_to == [
        ("user", "One?"), ("assistant", ""), ("user", "Two?"), ("assistant", "No."), ("user", "Three?"),
        ("assistant", "Yes."), ("user", "Four?"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "headers"),
    [({"measures": True}, {}), ({"metadata": {"measures": "true"}}, {}), ({}, {"X-Multiplex-Measures": "true"})],
)
def test_measures_may_be_asked_for_in_three_places(
    house: House, fields: dict[str, Any], headers: dict[str, str]
) -> None:
    house.backend.script = council
    body = {"model": "multiplex", "messages": [{"role": "user", "content": "What do we owe the dead?"}], **fields}
    done = httpx.post(f"{house.served.base_url}/chat/completions", json=body, headers=headers, timeout=60).json()
    assert done["choices"][0]["message"]["multiplex"]["measures"]["counts"]["african"] == 1


def test_two_places_may_not_say_two_things(house: House) -> None:
    response = house.served.chat(measures=True, metadata={"measures": "false"})
    assert response.status_code == 400
    assert response.json()["error"]["message"] == "metadata.measures and measures say different things"


def test_every_response_has_an_id_of_its_own(house: House) -> None:
    at = house.served
    replies = [
        at.chat(model="uniplex"), at.chat(model="no-such"), httpx.get(f"{at.url}/healthz"), httpx.get(f"{at.url}/no"),
        httpx.get(f"{at.url}/healthz", headers={"Host": "elsewhere"}), at.chat(model="uniplex", stream=True),
    ]  # fmt: skip
    names = [reply.headers["x-request-id"] for reply in replies]
    assert all(name.startswith("req_") for name in names)
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("path", ["completions", "embeddings", "audio/speech"])
def test_what_is_not_there_says_what_is(house: House, path: str) -> None:
    error = httpx.post(f"{house.served.base_url}/{path}", json={}).json()["error"]
    assert error["message"].endswith("GET /v1/models, POST /v1/chat/completions, POST /v1/responses")


def test_the_operator_may_raise_the_limit_on_a_question(backend: Backend) -> None:
    backend.script = council
    with serving(backend, "--max-question", "25000") as served:
        assert served.chat("x" * 25_000).status_code == 200
        refused = served.chat("x" * 25_001)
    assert refused.status_code == 413
    assert "--max-question raises it" in refused.json()["error"]["message"]


@pytest.mark.parametrize("streamed", [False, True])
def test_a_silent_endpoint_is_given_up_when_a_request_is_passed_on_too(backend: Backend, streamed: bool) -> None:
    backend.script = lambda body, n: Say("late", delay=30.0)
    with serving(backend, env={"MULTIPLEX_TIMEOUT": "0.5", "MULTIPLEX_RETRIES": "0"}) as served:
        response = served.chat(model="uniplex", stop=["END"], stream=streamed)
    if streamed:
        assert events(response.text)[-1]["error"]["code"] == "model_timeout"
    else:
        assert (response.status_code, response.json()["error"]["code"]) == (504, "model_timeout")
