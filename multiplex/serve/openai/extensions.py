"""What a request asks of this server beyond OpenAI's API: measures, a language, and a thread that the server keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from multiplex.council.locales import languages
from multiplex.serve.openai.fields import is_plain, passed_on
from multiplex.serve.openai.schema import ApiError, ChatRequest

if TYPE_CHECKING:
    from multiplex.serve.service import Caller, Service

HEADERS = {"thread_id": "x-multiplex-thread-id", "measures": "x-multiplex-measures", "language": "x-multiplex-language"}
_TRUTH = {True: True, "true": True, False: False, "false": False}


def wants_measures(body: ChatRequest, headers: Mapping[str, str]) -> bool:
    """Whether measures of the answer are wanted.

    Raises:
        ApiError: 400, it is said in no way that can be read, or in two ways.
    """
    where, given = _given("measures", body, headers)
    if given is None:
        return False
    if not isinstance(given, bool | str) or given not in _TRUTH:
        raise ApiError(400, f"{where} is true or false", param=where)
    return _TRUTH[given]


def language_of(body: ChatRequest, headers: Mapping[str, str]) -> str | None:
    """The language in which the council is to answer; None where none is named.

    Raises:
        ApiError: 400, there is no such language here, or two are named.
    """
    where, code = _given("language", body, headers)
    if code is None:
        return None
    if code not in languages():
        raise ApiError(400, f"{where} is one of {', '.join(languages())}", param=where)
    return str(code)


def thread_of(body: ChatRequest, headers: Mapping[str, str], caller: Caller, service: Service) -> str | None:
    """The name under which the memory keeps this caller's conversation; None where none is named.

    Raises:
        ApiError: 400, it is no name, or two names, or this server keeps no conversations.
    """
    where, name = _given("thread_id", body, headers)
    return None if name is None else service.thread(caller, name, where)


def needs_passing(body: ChatRequest, thread: str | None) -> bool:
    """Whether a single call's request asks for more than words, so that it is passed to the endpoint as it is.

    Raises:
        ApiError: 400, it does, in a thread that the server keeps, which holds words only.
    """
    fields = passed_on(body)
    if not fields and is_plain(body):
        return False
    if thread is not None:
        name = next(iter(fields), "messages")
        said = f"{name}: a thread that this server keeps holds words only; leave it out, or send the whole conversation"
        raise ApiError(400, f"{said} without thread_id", code="unsupported_parameter", param=name)
    return True


def _given(name: str, body: ChatRequest, headers: Mapping[str, str]) -> tuple[str, Any]:
    """Where a wish stands (`metadata`, the body or a header), and its value; None where it is not made.

    Raises:
        ApiError: 400, two places say two things.
    """
    places = {
        f"metadata.{name}": (body.metadata or {}).get(name),
        name: getattr(body, name),
        HEADERS[name]: headers.get(HEADERS[name]),
    }
    said = {where: value for where, value in places.items() if value is not None}
    if len({str(value).lower() for value in said.values()}) > 1:
        raise ApiError(400, f"{' and '.join(said)} say different things", param=name)
    return next(iter(said.items()), (name, None))
