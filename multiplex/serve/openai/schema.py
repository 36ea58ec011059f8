"""The shapes of OpenAI's chat API, as far as a council speaks it. Fields that are not named here are let through."""

from __future__ import annotations

from logging import ERROR
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from multiplex.content import storable
from multiplex.errors import CallError, MemoryLostError, ModelError, MultiplexError, UsageError, VoicesLostError
from multiplex.serve.http.logs import log

Role = Literal["system", "developer", "user", "assistant", "tool", "function"]


class _Given(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="allow")


class Part(_Given):
    """A part of a message; only text can be read here."""

    type: str
    text: str | None = None


class Message(_Given):
    """One message of the chat so far."""

    role: Role
    content: str | list[Part] | None = None

    @property
    def text(self) -> str:
        """Its text, parts joined."""
        if isinstance(self.content, str):
            return storable(self.content)
        return storable("\n".join(part.text for part in self.content or () if part.text is not None))


class StreamOptions(_Given):
    """What a stream carries besides the answer."""

    include_usage: bool = False


class ChatRequest(_Given):
    """The body of POST /v1/chat/completions.

    `metadata.measures` ("true") asks for measures of the answer; `metadata.thread_id` names a conversation that a
    server with memory keeps.
    """

    model: str
    messages: Annotated[list[Message], Field(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    seed: int | None = None
    n: Literal[1] | None = None
    user: str | None = None
    metadata: dict[str, Any] | None = None

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
    """An answer other than the one that was asked for; `headers` go with it."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = ErrorReply(error=ErrorBody(message=message, type=kind, param=param, code=code))
        self.headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        if status == 401:
            self.headers["WWW-Authenticate"] = "Bearer"


def a_bug(error: Exception, **about: Any) -> ApiError:
    """What a caller is told of an error that nobody meant; the log is told where it came from."""
    log("a bug", level=ERROR, error=error, **about)
    said = f"a bug in multiplex ({type(error).__name__}), please report it"
    return ApiError(500, said, kind="server_error")


def as_api_error(error: MultiplexError) -> ApiError:
    """How one of our errors is told over the wire: the caller's fault is 400, the model's or the memory's is not."""
    said = storable(str(error))
    if isinstance(error, UsageError):
        return ApiError(400, said)
    if isinstance(error, CallError):
        if error.kind == "rate_limited":
            return ApiError(429, said, kind="rate_limit_error", code="model_rate_limited", retry_after=10)
        status = 504 if error.kind == "timeout" else 502
        return ApiError(status, said, kind="server_error", code=f"model_{error.kind}")
    if isinstance(error, VoicesLostError):
        return ApiError(502, said, kind="server_error", code="voices_lost")
    if isinstance(error, MemoryLostError):
        return ApiError(503, said, kind="server_error", code="memory_lost", retry_after=5)
    if isinstance(error, ModelError):
        return ApiError(503, said, kind="server_error", code="model_unavailable", retry_after=5)
    return ApiError(500, said, kind="server_error")
