"""The body of OpenAI's responses API, and the chat request that asks the same."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import Field, ValidationError

from multiplex.errors import first_invalid
from multiplex.serve.openai.schema import ApiError, ChatRequest, StreamOptions, Tokens, _Given

_NAMES = {"messages": "input", "max_tokens": "max_output_tokens", "response_format": "text.format"} | {
    "reasoning_effort": "reasoning.effort",
    "verbosity": "text.verbosity",
    "logprobs": "include",
}
_SAME = (
    "model", "stream", "temperature", "top_p", "user", "metadata", "parallel_tool_calls", "top_logprobs",
    "service_tier", "safety_identifier", "prompt_cache_key", "thread_id", "measures",
)  # fmt: skip
_LOGPROBS = "message.output_text.logprobs"
_PLACE = re.compile(r"messages([.[])(\d+)")
_KEEPING = ("previous_response_id", "conversation", "prompt")


class ResponseRequest(_Given):
    """The body of POST /v1/responses. Nothing is kept: `store` is off."""

    model: str
    input: str | Annotated[list[dict[str, Any]], Field(min_length=1)]
    instructions: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    max_output_tokens: Tokens = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    max_tool_calls: int | None = None
    text: dict[str, Any] | None = None
    reasoning: dict[str, Any] | None = None
    include: list[str] | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    metadata: dict[str, Any] | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    truncation: str | None = None
    service_tier: str | None = None
    store: bool | None = None
    background: bool | None = None
    previous_response_id: str | None = None
    conversation: str | dict[str, Any] | None = None
    prompt: dict[str, Any] | None = None
    thread_id: str | None = None
    measures: bool | str | None = None


def as_chat(asked: ResponseRequest) -> ChatRequest:
    """The chat request that asks the same.

    Raises:
        ApiError: 400, it asks for something that this server does not have.
    """
    for name in _KEEPING:
        if getattr(asked, name) is not None:
            said = f"{name}: this server keeps no responses; send the whole conversation as `input`"
            raise _refusal(said, name)
    if asked.store:
        raise _refusal("store: this server keeps no responses; send `store` false or leave it out", "store")
    if asked.background:
        raise _refusal("background: this server answers at once; leave it out, or stream", "background")
    if "messages" in (asked.model_extra or {}):
        raise _refusal("messages: the conversation stands in `input` here; leave it out", "messages")
    text, reasoning, messages = asked.text or {}, asked.reasoning or {}, _messages(asked)
    fields: dict[str, Any] = {name: getattr(asked, name) for name in _SAME}
    fields |= {
        "messages": [message for message, _ in messages],
        "max_tokens": asked.max_output_tokens,
        "tools": [_tool(tool, i) for i, tool in enumerate(asked.tools or ())],
        "tool_choice": _choice(asked.tool_choice),
        "response_format": _format(text.get("format")),
        "verbosity": text.get("verbosity"),
        "reasoning_effort": reasoning.get("effort"),
        "logprobs": _LOGPROBS in (asked.include or ()) or None,
        **(asked.model_extra or {}),
    }
    try:
        return ChatRequest.model_validate({name: value for name, value in fields.items() if value is not None})
    except ValidationError as error:
        wrong = first_invalid(error)
        param = in_responses(wrong.field, asked)
        raise _refusal(f"{param}: {wrong.problem}", param) from error


def in_responses(param: str, asked: ResponseRequest) -> str:
    """A field of the chat request by its name in the responses request that it was made of."""
    if found := _PLACE.match(param):
        where = _messages(asked)[int(found[2])][1]
        return where if isinstance(where, str) else f"input{found[1]}{where}{param[found.end() :]}"
    name = next((name for name in _NAMES if param == name or param.startswith((f"{name}.", f"{name}["))), None)
    return param if name is None else _NAMES[name] + param.removeprefix(name)


def _refusal(said: str, param: str) -> ApiError:
    return ApiError(400, said, code="unsupported_parameter", param=param)


def _messages(asked: ResponseRequest) -> list[tuple[dict[str, Any], int | str]]:
    """Each message, and the field or the place in `input` that it stands at; a function's call joins its message."""
    made = list[tuple[dict[str, Any], int | str]]()
    if asked.instructions:
        made.append(({"role": "system", "content": asked.instructions}, "instructions"))
    if isinstance(asked.input, str):
        return [*made, ({"role": "user", "content": asked.input}, "input")]
    for i, item in enumerate(asked.input):
        kind = item.get("type", "message")
        if kind == "message":
            made.append(({name: item[name] for name in ("role", "content") if name in item}, i))
        elif kind == "function_call":
            function = {"name": item.get("name"), "arguments": item.get("arguments")}
            call = {"id": item.get("call_id"), "type": "function", "function": function}
            if made and made[-1][0].get("role") == "assistant":
                made[-1][0].setdefault("tool_calls", []).append(call)
            else:
                made.append(({"role": "assistant", "tool_calls": [call]}, i))
        elif kind == "function_call_output":
            made.append(({"role": "tool", "tool_call_id": item.get("call_id"), "content": item.get("output")}, i))
        elif kind != "reasoning":  # the voices' own words, which the answer was made of
            said = f"input[{i}]: an item of type {kind!r} cannot be read here; send messages and functions' calls"
            raise _refusal(said, f"input[{i}]")
    return made


def _tool(tool: dict[str, Any], place: int) -> dict[str, Any]:
    if tool.get("type") != "function":
        said = f"tools[{place}]: there is no tool {tool.get('type')!r} here; only functions of your own are passed on"
        raise _refusal(said, f"tools[{place}]")
    return {"type": "function", "function": {k: v for k, v in tool.items() if k != "type" and v is not None}}


def _choice(choice: str | dict[str, Any] | None) -> str | dict[str, Any] | None:
    if isinstance(choice, dict) and choice.get("type") == "function":
        return {"type": "function", "function": {"name": choice.get("name")}}
    return choice


def _format(wanted: Any) -> Any:
    if isinstance(wanted, dict) and wanted.get("type") == "json_schema":
        return {"type": "json_schema", "json_schema": {k: v for k, v in wanted.items() if k != "type"}}
    return wanted
