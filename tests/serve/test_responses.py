"""OpenAI's responses API over a council and a single call: through its own client, LangChain's, and plain HTTP."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from langchain_openai import ChatOpenAI
from openai import APIError, OpenAI

from tests.backend import Say
from tests.serve.conftest import House
from tests.serve.luck import ANSWER, council

QUESTION = "What do we owe the dead?"
CALLED = {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": "{}"}
IMAGE = {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo="}
TITLES = ("Western", "Islamic", "East Asian", "South Asian", "African", "Latin American", "Indigenous")


@pytest.fixture
def client(house: House) -> OpenAI:
    house.backend.script = council
    return OpenAI(base_url=house.served.base_url, api_key="none", max_retries=0)


def test_a_response_holds_the_answer_and_the_voices_as_summaries(client: OpenAI) -> None:
    made = client.responses.create(model="multiplex", input=QUESTION, store=False, metadata={"class": "7"})
    reasoning, message = made.output
    assert (reasoning.type, message.type, made.status) == ("reasoning", "message", "completed")
    summaries = [part.text for part in reasoning.summary]
    assert all(any(text.startswith(f"**{title}** (") for text in summaries) for title in TITLES)
    assert made.output_text == ANSWER
    assert made.usage is not None
    assert made.usage.output_tokens_details.reasoning_tokens == 7 * 4
    assert made.metadata is not None
    assert made.metadata["class"] == "7"
    assert json.loads(made.metadata["multiplex"])["lost"] == []


def test_a_streamed_response_is_the_same(client: OpenAI) -> None:
    with client.responses.stream(model="multiplex", input=QUESTION) as stream:
        came = list(stream)
        final = stream.get_final_response()
    assert [event.sequence_number for event in came] == list(range(len(came)))
    assert (came[0].type, came[-1].type) == ("response.created", "response.completed")
    assert "".join(event.delta for event in came if event.type == "response.output_text.delta") == ANSWER
    assert final.output_text == ANSWER
    assert len(final.output) == 2


def test_functions_and_their_results_go_through_a_single_call(house: House) -> None:
    items: list[dict[str, Any]] = [
        {"role": "user", "content": [{"type": "input_text", "text": "How warm is it?"}]},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "20 degrees"},
    ]
    body = {
        "model": "uniplex", "input": items, "instructions": "Be brief.", "max_output_tokens": 9,
        "tools": [{"type": "function", "name": "weather", "parameters": {}}],
        "text": {"format": {"type": "json_schema", "name": "warmth", "schema": {"type": "object"}}},
    }  # fmt: skip
    response = httpx.post(f"{house.served.base_url}/responses", json=body, timeout=60)
    assert response.status_code == 200, response.text
    sent = house.backend.requests[0]
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    assert sent["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "How warm is it?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "20 degrees"},
    ]
    assert sent["tools"] == [{"type": "function", "function": {"name": "weather", "parameters": {}}}]
    assert sent["response_format"]["json_schema"] == {"name": "warmth", "schema": {"type": "object"}}
    assert sent["max_tokens"] == 9


@pytest.mark.parametrize("streamed", [False, True])
def test_calls_of_functions_come_back(house: House, client: OpenAI, streamed: bool) -> None:
    function = {"name": "weather", "arguments": '{"at": 1}'}
    call = {"index": 0, "id": "c1", "type": "function", "function": function}
    house.backend.script = lambda body, n: Say("", more={"tool_calls": [call]}, finish="tool_calls")
    asked: dict[str, Any] = {"tools": [{"type": "function", "name": "weather", "parameters": {}}]}
    if streamed:
        with client.responses.stream(model="uniplex", input=QUESTION, **asked) as stream:
            list(stream)
            made: Any = stream.get_final_response()
    else:
        made = client.responses.create(model="uniplex", input=QUESTION, **asked)
    (item,) = made.output
    assert (item.type, item.call_id, item.name, item.arguments) == ("function_call", "c1", "weather", '{"at": 1}')


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"store": True}, "store"),
        ({"background": True}, "background"),
        ({"tools": [{"type": "web_search"}]}, "tools[0]"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0]"),
        ({"input": [{"content": "Who?"}]}, "input.0.role"),
        ({"input": "  ", "instructions": "Be brief."}, "input"),
        ({"instructions": "Be brief.", "input": [CALLED, {"role": "user", "content": [IMAGE]}]}, "input[1].content"),
        ({"messages": [{"role": "user", "content": "Who?"}]}, "messages"),
        ({"text": {"format": {"type": "json_object"}}}, "text.format"),
        ({"reasoning": {"effort": "high"}}, "reasoning.effort"),
    ],
)
def test_what_cannot_be_done_is_refused_by_its_name_here(house: House, fields: dict[str, Any], param: str) -> None:
    body = {"model": "multiplex", "input": QUESTION, **fields}
    response = httpx.post(f"{house.served.base_url}/responses", json=body)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param
    assert house.backend.requests == []


def test_a_stream_that_fails_says_so(house: House, client: OpenAI) -> None:
    house.backend.script = lambda body, n: Say(status=400, error={"message": "not allowed"})
    stream = client.responses.create(model="uniplex", input=QUESTION, stream=True)
    assert [next(stream).type for _ in range(3)] == ["response.created", "response.in_progress", "response.failed"]
    with pytest.raises(APIError, match="not allowed"):
        next(stream)


def test_langchain_sees_the_voices(house: House) -> None:
    house.backend.script = council
    model = ChatOpenAI(
        model="multiplex",
        base_url=house.served.base_url,
        api_key="none",
        use_responses_api=True,  # type: ignore[arg-type]
    )
    said = model.invoke(QUESTION)
    assert said.text == ANSWER
    voices = [block["reasoning"] for block in said.content_blocks if block["type"] == "reasoning"]
    assert sum(any(text.startswith(f"**{title}** (") for title in TITLES) for text in voices) == 7
    assert "strategy" in json.loads(said.response_metadata["metadata"]["multiplex"])
