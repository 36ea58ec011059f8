"""What the finish reasons, fields and errors of chat endpoints mean: one table for every transport."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from multiplex.llm.usage import Usage

Ending = Literal["whole", "cut", "declined", "tools", "broken"]
"""How a reply ended: by itself, at a token limit, at a content filter, with a call of a tool, or not at its end."""

_ENDINGS: dict[Ending, str] = {
    "whole": "stop eos eos_token end end_turn stop_sequence complete completed finished",
    "cut": "length max_tokens max_output_tokens max_length model_length model_context_window_exceeded",
    "declined": "content_filter content_filtered filtered safety refusal recitation blocklist prohibited_content spii "
    "guardrail_intervened sensitive image_safety moderation",
    "tools": "tool_calls tool_call function_call tool_use",
}
ENDINGS: Mapping[str, Ending] = {name: ending for ending, names in _ENDINGS.items() for name in names.split()}
"""By finish reason in small letters; one that is not here is no end of a whole answer."""

STATUSES: Mapping[str, int] = {
    "rate_limit_exceeded": 429, "rate_limit_error": 429, "ratelimiterror": 429, "resource_exhausted": 429,
    "insufficient_quota": 402, "billing_error": 402, "invalid_api_key": 401, "authentication_error": 401,
    "unauthenticated": 401, "permission_error": 403, "permission_denied": 403, "not_found_error": 404,
    "model_not_found": 404, "invalid_request_error": 400, "invalid_argument": 400, "badrequesterror": 400,
    "context_length_exceeded": 400, "content_filter": 400, "unsupported_parameter": 400, "unsupported_value": 400,
    "overloaded_error": 529, "overloaded": 529, "unavailable": 503, "servererror": 503, "server_error": 500,
    "internal": 500, "internal_server_error": 500, "api_error": 500,
}  # fmt: skip
"""The HTTP status that an error's code or type stands for, where it came under another."""

TOKENS = (("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens"))
MOST_WORDS = 4000  # characters of an error that are read
_MOST_TOKENS = 10**12  # of one call; more is no count of tokens
_MESSAGES = (
    "message", "msg", "detail", "error", "errors", "error_description", "error_msg", "reason", "status_msg", "title",
)  # fmt: skip
_FILTER = re.compile(
    r"content[\s_-]?(?:filter|management|policy)|responsible_?ai|moderation|was flagged|safety system|"
    r"prohibited content|data_inspection|inappropriate content|usage policies|for safety reasons|"
    r"content exists risk|violates usage guidelines|considered high risk|new_sensitive|sensitivecontentdetected|"
    r"unsafe or sensitive|不安全或敏感",  # DeepSeek, xAI, Moonshot, MiniMax, Volcengine, Zhipu
    re.IGNORECASE,
)
_UNITS = {"h(?:(?:ou)?rs?)?": 3600, "m(?:in(?:ute)?s?)?": 60, "s(?:ec(?:ond)?s?)?": 1, "(?:ms|milliseconds?)": 0.001}
_WAIT = re.compile(
    r"(?:try again|retry)\w* (?:in|after) (?=\d)"
    + "".join(rf"(?:(\d+(?:\.\d+)?)\s?{unit}(?![a-z]),?\s?(?:and )?)?" for unit in _UNITS),
    re.IGNORECASE,
)
_SECONDS = re.compile(r"(\d+(?:\.\d+)?)s?")


def find_ending(finish: str | None) -> Ending | None:
    """How a reply with this finish reason ended; None where the endpoint gave none.

    Gemini's says what its filter found, too: "content_filter: RECITATION".
    """
    return ENDINGS.get(finish.lower().removeprefix("finishreason.").partition(":")[0], "broken") if finish else None


def read_usage(usage: Any, *, spoke: bool) -> Usage:
    """One call's tokens; None where the endpoint does not report them in a way that can be.

    With `spoke` the reply holds words, so that zero tokens are no report. Gemini and xAI count what a model thinks in
    `total_tokens` alone, and bill it as output.
    """
    given, made = (_tokens(usage, names) for names in TOKENS)
    if given is not None and made is not None:
        made += _beyond(usage, given + made)
    if spoke and not made:
        made, given = None, given or None
    return Usage(calls=1, input_tokens=given, output_tokens=made)


def _beyond(usage: Mapping[str, Any], counted: int) -> int:
    """Tokens of thinking that only the total holds: the rest of it, at most as many as are said to be thinking."""
    total, details = _tokens(usage, ("total_tokens",)), usage.get("completion_tokens_details")
    rest = max(0, (total or 0) - counted)
    thought = _tokens(details, ("reasoning_tokens",))
    return rest if thought is None else min(rest, thought)


def _tokens(usage: Any, names: tuple[str, ...]) -> int | None:
    if not isinstance(usage, Mapping):
        return None
    value = next((usage[name] for name in names if usage.get(name) is not None), None)
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _MOST_TOKENS:
        return None
    return int(value) if value == int(value) else None


@dataclass(frozen=True)
class Told:
    """What an endpoint says of a failure: its words, its code in small letters, and the fields that it names.

    `wait` is in seconds; `status` is that of HTTP, or the one that the code stands for; None where neither is known.
    """

    message: str
    code: str = ""
    fields: frozenset[str] = frozenset()
    status: int | None = None
    wait: float | None = None

    @property
    def declined(self) -> bool:
        """Whether a content filter refused the request."""
        return _FILTER.search(f"{self.code} {self.message}") is not None


class EndpointError(Exception):
    """An error object that came in place of a reply or in the middle of one, under a status that tells of none."""

    def __init__(self, told: Told) -> None:
        super().__init__(told.message)
        self.told = told


def find_error(body: Any) -> Told | None:
    """The error that a reply, a piece of one or a choice tells of; None where it tells of none."""
    if not isinstance(body, Mapping):
        return None
    if error := body.get("error"):
        return read_error(error)
    if body.get("object") == "error":
        return read_error(body)
    if body.get("choices") or isinstance(body.get("message"), Mapping):
        return None  # a message that is an object is a reply of another API
    if any(body.get(name) for name in _MESSAGES):
        return read_error(body)
    state = body.get("base_resp")  # MiniMax's
    return read_error(state) if isinstance(state, Mapping) and state.get("status_code") else None


def read_error(body: Any, status: int | None = None) -> Told:
    """What an error's body says, whatever its shape: an object, a list of details, a text."""
    messages, codes, fields, wait = list[str](), list[str](), set[str](), list[float]()
    for name, value in _leaves(body):
        if name == "message":
            messages.append(value)
        elif name == "field":
            fields.add(value)
        elif name == "wait" and (seconds := _SECONDS.fullmatch(value)):
            wait.append(float(seconds[1]))
        elif name == "code":
            codes.append(value.lower())
    message = "; ".join(dict.fromkeys(messages)) or (json.dumps(body) if body else "")
    message = message[:MOST_WORDS]
    if not wait and (found := next((m for m in _WAIT.finditer(message) if any(m.groups())), None)):
        wait = [sum(float(part or 0) * unit for part, unit in zip(found.groups(), _UNITS.values(), strict=True))]
    if status is None:
        numbers = (int(code) if code.isdigit() and len(code) == 3 else STATUSES.get(code) for code in codes)
        status = next((number for number in numbers if number is not None and 400 <= number < 600), None)
    named = next((code for code in codes if not code.isdigit()), "")
    return Told(message, named, frozenset(fields), status, max(wait, default=None))


def _unpacked(raw: Any) -> Any:
    """What an error's text holds, where it is JSON itself; else the text."""
    try:
        return json.loads(raw) if isinstance(raw, str) else raw
    except (ValueError, RecursionError):
        return raw


def _leaves(value: Any, depth: int = 0) -> Iterator[tuple[str, str]]:
    """The words of an error, each with what it is: message, code, field or wait."""
    if depth > 8:
        return
    if isinstance(value, str):
        yield "message", value
    elif isinstance(value, list):
        for each in value[:20]:
            yield from _leaves(each, depth + 1)
    elif isinstance(value, Mapping):
        where = value.get("loc")
        place = [part for part in where if isinstance(part, str) and part != "body"] if isinstance(where, list) else []
        if place:
            yield "field", place[-1]
        for name in _MESSAGES:
            for kind, word in _leaves(value.get(name), depth + 1):
                yield kind, f"{'.'.join(place)}: {word}" if place and kind == "message" else word
        for name in ("code", "type", "status"):
            if isinstance(value.get(name), str | int):
                yield "code", str(value[name])
        if isinstance(value.get("param"), str):
            yield "field", value["param"]
        if isinstance(value.get("retryDelay"), str):
            yield "wait", value["retryDelay"]
        if isinstance(about := value.get("metadata"), Mapping) and about.get(
            "raw"
        ):  # OpenRouter: the provider's own words
            yield from _leaves(_unpacked(about["raw"]), depth + 1)
        for name in ("innererror", "details", "metadata"):
            yield from ((kind, word) for kind, word in _leaves(value.get(name), depth + 1) if kind != "message")
