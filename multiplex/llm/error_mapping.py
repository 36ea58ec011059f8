"""What went wrong in a call, in one line that a person can act on, and whether trying again may help."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from multiplex.content import storable
from multiplex.errors import CallError
from multiplex.llm.protocol import EndpointError, Told, read_error
from multiplex.llm.spec import ModelSpec

LONGEST_WAIT = 60.0  # seconds; an endpoint that asks for more is told to the user instead of waited for
_KEY = re.compile(
    r"\b(?:(?:sk|key|pk|gsk|xai|pplx|nvapi)-[\w*.-]{6,}|(?:gsk|hf|r8|fw|tgp)_\w{16,}"
    r"|AIza[\w-]{30,}|eyJ[\w-]+\.[\w-]+\.[\w-]+)"
)
_MISMADE = frozenset({"json_validate_failed", "tool_use_failed"})  # Groq: what the model made is not as asked
_BAD_KEY = re.compile(r"api[ _]key (?:is )?(?:not valid|invalid|expired|not found)|invalid api[ _]key", re.IGNORECASE)
_SECRET_URL = re.compile(r"(https?://)[^/\s@]+@")
_SECRET_QUERY = re.compile(r"([?&][\w.-]*(?:key|token|secret|sig|password)[\w.-]*=)[^&\s\"'<>]+", re.IGNORECASE)


@dataclass(frozen=True)
class FailedAttempt:
    """A failed attempt: the error to raise in the end, and how it may be retried.

    `attempts` is how many attempts in all make sense (None: as many as the settings allow); `wait` the seconds
    that the endpoint asked for.
    """

    error: CallError
    attempts: int | None = None
    wait: float | None = None


def safe(text: str, secret: str = "") -> str:
    """A foreign message on one line of at most 200 characters that can be stored; keys are taken out."""
    text = storable(text)
    if secret:
        text = text.replace(secret, "[key]")
    text = _SECRET_QUERY.sub(r"\1[key]", _SECRET_URL.sub(r"\1", _KEY.sub("[key]", " ".join(text.split()))))
    return text if len(text) <= 200 else text[:199] + "…"


def explain(error: Exception, spec: ModelSpec, secret: str = "") -> FailedAttempt:
    """The failure that an exception of the HTTP client, the SDK or LangChain stands for."""
    import openai

    at = f"{spec.name} at {spec.place}"
    if _is_timeout(error):
        return FailedAttempt(
            CallError("timeout", f"{at}: no answer within {spec.timeout:g} s; raise MULTIPLEX_TIMEOUT"), attempts=2
        )
    if isinstance(error, CallError):
        return FailedAttempt(CallError(error.kind, f"{at}: {safe(str(error), secret)}"), attempts=1)
    if (told := read_told(error)) is not None:
        return _explain_told(told, spec, at, secret)
    if spec.wrapped is not None and (status := _find_status(error)) is not None:
        return _explain_own(error, status, at)
    if is_broken_connection(error):
        cause = safe(next((str(each) for each in list(_causes(error))[1:] if str(each)), str(error)), secret)
        if not _is_unconnected(error):
            return FailedAttempt(
                CallError("server", f"{at}: the connection broke before the answer was whole ({cause})")
            )
        return FailedAttempt(
            CallError("unreachable", f"{at}: nothing answers there ({cause}); is it running, is --base-url right?")
        )
    if isinstance(error, openai.APIError):
        return FailedAttempt(CallError("server", f"{at}: {safe(error.message, secret)}"))
    reason = safe(f"{type(error).__name__}: {error}", secret)
    if spec.wrapped is not None:
        return FailedAttempt(CallError("server", f"{at}: {reason}"))
    return FailedAttempt(
        CallError(
            "server", f"{at}: the reply is no OpenAI-compatible chat completion ({reason}); is --base-url right?"
        ),
        attempts=1,
    )


def _find_status(error: Exception) -> int | None:
    """The HTTP status that an exception of some other client bears; None where it bears none."""
    bearers = (error, getattr(error, "response", None))
    found = (getattr(each, name, None) for each in bearers for name in ("status_code", "code", "status"))
    return next((int(status) for status in found if isinstance(status, int) and 400 <= status < 600), None)


def _explain_own(error: Exception, status: int, at: str) -> FailedAttempt:
    """What a status means that the endpoint of a caller's own chat model gave."""
    said, wait = safe(f"{type(error).__name__}: {error}"), _retry_after(_find_headers(error))
    if status == 429:
        return _rate_limited(at, said, wait)
    if status in (401, 403):
        return FailedAttempt(CallError("refused", f"{at}: {status}, the key is refused or missing ({said})"), 1)
    if status < 500 and status not in (408, 409):
        return FailedAttempt(CallError("bad_request", f"{at}: {status} ({said})"), attempts=1)
    return FailedAttempt(CallError("server", f"{at}: {status} ({said})"), wait=wait and min(wait, LONGEST_WAIT))


def _find_headers(error: Exception) -> Mapping[str, str]:
    found = (getattr(each, "headers", None) for each in (error, getattr(error, "response", None)))
    return next((headers for headers in found if isinstance(headers, Mapping)), {})


def read_told(error: Exception) -> Told | None:
    """What the endpoint itself says of a failure; None where the failure is not its word."""
    import openai

    if isinstance(error, EndpointError):
        return error.told
    if type(error) is openai.APIError and error.body:  # an error object in a stream, as the SDK reads it
        return read_error(error.body)
    if not isinstance(error, openai.APIStatusError):
        return None
    told = read_error(error.body if error.body is not None else error.response.text, error.status_code)
    wait = _retry_after(error.response.headers)
    return replace(told, wait=told.wait if wait is None else wait)


def _explain_told(told: Told, spec: ModelSpec, at: str, secret: str) -> FailedAttempt:
    status, said = told.status, safe(told.message, secret) or "no reason given"
    number = f"{status} " if status is not None else ""
    if status in (None, 400, 403, 422, 451) and told.declined:
        return FailedAttempt(
            CallError("declined", f"{at}: stopped by the endpoint's content filter: {number}({said})"), 1
        )
    if status in (401, 403) or (status == 400 and _BAD_KEY.search(f"{told.code} {told.message}")):
        named = spec.api_key_env or "no key was sent; name its variable with --api-key-env"
        why = f": {said}" if status != 401 and told.message else ""
        return FailedAttempt(
            CallError("refused", f"{at}: {status}, the key is refused or missing ({named}){why}"), attempts=1
        )
    if status == 404:
        return FailedAttempt(CallError("bad_request", f"{at}: 404, no such model or address ({said})"), attempts=1)
    if status == 402 or told.code == "insufficient_quota":
        return FailedAttempt(CallError("refused", f"{at}: {number}the account has no quota left ({said})"), attempts=1)
    if status == 429:
        return _rate_limited(at, said, told.wait)
    if status is None or status >= 500 or status in (408, 409) or told.code in _MISMADE:
        wait = told.wait if told.wait is None or told.wait <= LONGEST_WAIT else LONGEST_WAIT
        return FailedAttempt(CallError("server", f"{at}: {number}({said})"), wait=wait)
    return FailedAttempt(CallError("bad_request", f"{at}: {number}({said})"), attempts=1)


def _rate_limited(at: str, said: str, wait: float | None) -> FailedAttempt:
    if wait is not None and wait > LONGEST_WAIT:
        late = f"{at}: 429, asks to wait {wait:.0f} s; try again then"
        return FailedAttempt(CallError("rate_limited", late), attempts=1)
    return FailedAttempt(CallError("rate_limited", f"{at}: 429, too many requests ({said})"), wait=wait)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds the endpoint asks to wait, from `retry-after-ms` or `retry-after` (a number or an HTTP date).

    A date is one of the endpoint's clock, which `date` tells: ours may go otherwise.
    """
    from time import time

    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        value = headers.get(name, "")
        try:
            return max(0.0, float(value) / unit)
        except ValueError:
            pass
    if (due := _read_date(headers.get("retry-after"))) is None:
        return None
    now = _read_date(headers.get("date"))
    return max(0.0, due - (time() if now is None else now))


def _read_date(value: str | None) -> float | None:
    """An HTTP date as seconds since 1970; None where it is none."""
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(value or "").timestamp()
    except (ValueError, TypeError):
        return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and what it was raised from, the outermost first."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _beneath(error: BaseException) -> BaseException | None:
    """What aiohttp itself raised; None where it carried nothing."""
    return next((each for each in _causes(error) if type(each).__module__.startswith("aiohttp.")), None)


def _is_timeout(error: Exception) -> bool:
    """Whether the endpoint was silent for too long; as the SDK has it, a connection that aiohttp lost was so too."""
    import openai

    if isinstance(error, openai.APITimeoutError) and (raised := _beneath(error)) is not None:
        return isinstance(raised, TimeoutError)
    return isinstance(error, TimeoutError | openai.APITimeoutError)


def _is_unconnected(error: Exception) -> bool:
    """Whether no connection came about, where `is_broken_connection`."""
    if (raised := _beneath(error)) is not None:
        return any(base.__name__ == "ClientConnectorError" for base in type(raised).__mro__)
    return any(type(each).__name__ in ("ConnectError", "ConnectTimeout") for each in _causes(error))


def is_broken_connection(error: Exception) -> bool:
    """Whether the connection failed: as the SDK says it, or as the HTTP client beneath it lets it through."""
    import openai

    if isinstance(error, openai.APIConnectionError):
        return not _is_timeout(error)
    beneath = ("aiohttp", "httpx", "httpx2", "httpcore", "httpcore2")
    return any(base.__module__.split(".")[0] in beneath for base in type(error).__mro__)
