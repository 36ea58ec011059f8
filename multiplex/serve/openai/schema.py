"""The shapes of OpenAI's chat API. What becomes of each field stands in `fields.py`."""

from __future__ import annotations

from logging import ERROR
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from multiplex.content import storable
from multiplex.errors import CallError, MemoryLostError, ModelError, MultiplexError, UsageError, VoicesLostError
from multiplex.serve.http.logs import log

Role = Literal["system", "developer", "user", "assistant", "tool", "function"]


class _Given(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="allow")


class ContentPart(_Given):
    """A part of a message; only text can be read here, and what an assistant refused."""

    type: str
    text: str | None = None
    refusal: str | None = None

    @property
    def words(self) -> str | None:
        """What it says; None where it is no text."""
        return self.refusal if self.type == "refusal" else self.text


class Message(_Given):
    """One message of the chat so far."""

    role: Role
    content: str | list[ContentPart] | None = None
    refusal: str | None = None
    tool_calls: list[dict[str, Any]] | None = None

    @property
    def text(self) -> str:
        """Its text, parts joined; what an assistant refused where it said nothing else."""
        if isinstance(self.content, str):
            return storable(self.content)
        said = "\n".join(words for part in self.content or () if (words := part.words) is not None)
        return storable(said or self.refusal or "")


class StreamOptions(_Given):
    """What a stream carries besides the answer."""

    include_usage: bool = False


def _limit(tokens: int | None) -> int | None:
    """Most tokens; -1 is how some clients say that there is no limit."""
    if tokens == 0:
        raise PydanticCustomError("tokens", "should be at least 1, or -1 for no limit")
    return None if tokens == -1 else tokens


def _one(number: int | None) -> int | None:
    """One answer; a council is not asked twice for one request."""
    if number not in (None, 1):
        raise PydanticCustomError("n", "one answer is given to a request; send 1, leave it out, or ask again")
    return number


Tokens = Annotated[Annotated[int, Field(ge=-1)] | None, AfterValidator(_limit)]
Penalty = Annotated[float, Field(ge=-2, le=2)]


class ChatRequest(_Given):
    """The body of POST /v1/chat/completions.

    `measures` (true) asks for measures of the answer; `thread_id` names a conversation that a server with memory
    keeps; `language` is the code of the language in which a council is to answer. They may stand in `metadata` instead.
    """

    model: str
    messages: Annotated[list[Message], Field(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    max_tokens: Tokens = None
    max_completion_tokens: Tokens = None
    seed: int | None = None
    n: Annotated[int | None, AfterValidator(_one)] = None
    user: str | None = None
    metadata: dict[str, Any] | None = None
    thread_id: str | None = None
    measures: bool | Literal["true", "false"] | None = None
    language: str | None = None
    stop: str | list[str] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    functions: list[dict[str, Any]] | None = None
    function_call: str | dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None
    modalities: list[str] | None = None
    audio: dict[str, Any] | None = None
    prediction: dict[str, Any] | None = None
    web_search_options: dict[str, Any] | None = None
    service_tier: str | None = None
    store: bool | None = None

    @field_validator("user")
    @classmethod
    def _whole_user(cls, user: str | None) -> str | None:
        return None if user is None else storable(user)

    @property
    def answer_tokens(self) -> int | None:
        """Most tokens of the answer, under either name."""
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens


class ErrorBody(BaseModel):
    """What went wrong, in one line."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorReply(BaseModel):
    """OpenAI's error envelope."""

    error: ErrorBody


class ApiError(Exception):
    """An answer other than the one that was asked for; `headers` go with it.

    `retry` False tells OpenAI's clients not to ask again: the calls behind it have been retried here, or would be paid
    for anew.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        retry_after: int | None = None,
        retry: bool = True,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = ErrorReply(error=ErrorBody(message=message, type=kind, param=param, code=code))
        self.headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        if not retry:
            self.headers["x-should-retry"] = "false"
        if status == 401:
            self.headers["WWW-Authenticate"] = "Bearer"


def a_bug(error: Exception, **about: Any) -> ApiError:
    """What a caller is told of an error that nobody meant; the log is told where it came from."""
    log("a bug", level=ERROR, error=error, **about)
    said = f"a bug in multiplex ({type(error).__name__}), please report it"
    return ApiError(500, said, kind="server_error", retry=False)


def as_api_error(error: MultiplexError) -> ApiError:
    """How one of our errors is told over the wire: a caller's fault, which the endpoint may have told, is 400."""
    said = storable(str(error))
    if isinstance(error, UsageError):
        return ApiError(400, said)
    if isinstance(error, CallError):
        if error.kind == "rate_limited":
            return ApiError(429, said, kind="rate_limit_error", code="model_rate_limited", retry_after=10)
        if error.kind == "bad_request":
            return ApiError(400, said, code="model_bad_request", retry=False)
        status = 504 if error.kind == "timeout" else 502
        return ApiError(status, said, kind="server_error", code=f"model_{error.kind}", retry=False)
    if isinstance(error, VoicesLostError):
        return ApiError(502, said, kind="server_error", code="voices_lost", retry=False)
    if isinstance(error, MemoryLostError):
        return ApiError(503, said, kind="server_error", code="memory_lost", retry_after=5)
    if isinstance(error, ModelError):
        return ApiError(503, said, kind="server_error", code="model_unavailable", retry_after=5, retry=False)
    return ApiError(500, said, kind="server_error", retry=False)
