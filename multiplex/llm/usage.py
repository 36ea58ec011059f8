"""What calls cost, added up without pretending to know more than the endpoint said."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

from multiplex.errors import CallError


class Usage(BaseModel):
    """Replies that came, those of no use too, and their tokens.

    Tokens are None as soon as the endpoint did not report them for one reply; a request that brought none, or that
    broke off, counts with what was reported of it.
    """

    model_config = ConfigDict(frozen=True)

    calls: int = 0
    input_tokens: int | None = 0
    output_tokens: int | None = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            calls=self.calls + other.calls,
            input_tokens=_plus(self.input_tokens, other.input_tokens),
            output_tokens=_plus(self.output_tokens, other.output_tokens),
        )


def total(usages: Iterable[Usage]) -> Usage:
    """The sum; zero calls and zero tokens where there is none."""
    return sum(usages, start=Usage())


def spent_on(error: BaseException) -> Usage:
    """What a failed call took."""
    if not isinstance(error, CallError):
        return Usage()
    calls, given, made = error.spent
    return Usage(calls=calls, input_tokens=given, output_tokens=made)


def set_spent(error: CallError, usage: Usage) -> CallError:
    """The error, which from now on says that its call took `usage`."""
    error.spent = (usage.calls, usage.input_tokens, usage.output_tokens)
    return error


def shown_tokens(usage: Usage) -> str:
    """Tokens for a reader, such as "1,200 in, 300 out"; "not reported" where the endpoint did not say."""
    if usage.input_tokens is None or usage.output_tokens is None:
        return "not reported"
    return f"{usage.input_tokens:,} in, {usage.output_tokens:,} out"


def _plus(a: int | None, b: int | None) -> int | None:
    return None if a is None or b is None else a + b
