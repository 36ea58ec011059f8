"""Every error that multiplex raises on purpose, in one tree.

MultiplexError                 exit 1
├── UsageError                 exit 2   the command, the settings or the question is wrong
│   └── ContentError           exit 2   a file in agents/, prompts/ or eval/ (or a user's own) is wrong
├── ModelError                 exit 3   no call succeeded at all
│   ├── WeightsError           exit 3   the embedded model's file is absent, wrong or cannot be fetched
│   └── CallError              exit 3   one call to a model failed for good
├── VoicesLostError            exit 4   fewer voices answered than were asked for
└── MemoryLostError            exit 1   the conversation memory cannot be reached

A message is one line: what is wrong, where, and what to do. No message holds a key.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pydantic import ValidationError


class MultiplexError(Exception):
    """Base of all errors raised on purpose; `exit_code` is what the command line returns."""

    exit_code = 1


class UsageError(MultiplexError):
    """The command, a setting or the question is wrong; nothing was sent."""

    exit_code = 2


class ContentError(UsageError):
    """A content file is wrong. The message begins with the file, and where known the line and field."""

    def __init__(self, path: Path | str, problem: str, *, line: int | None = None, field: str = "") -> None:
        where = f"{path}:{line}" if line is not None else str(path)
        super().__init__(f"{where}: {field + ': ' if field else ''}{problem}")
        self.path, self.line, self.field = Path(path), line, field
        self._made_of = (path, problem)

    def __reduce__(self) -> tuple[object, ...]:  # made anew in another process, with what it was made of
        return _content_error, (*self._made_of, self.line, self.field)


class ModelError(MultiplexError):
    """A model cannot be used: nothing is there, or it refuses."""

    exit_code = 3


class WeightsError(ModelError):
    """The embedded model's weights are absent, damaged, of another hash, or cannot be fetched."""


class CallError(ModelError):
    """One call to a model failed for good.

    `kind` is one of: unreachable, refused, rate_limited, server, bad_request, timeout, empty, cut_off, declined (the
    model, or a content filter, does not answer this). `spent` is what its attempts took all the same: replies that
    were charged for, their input and their output tokens; None where the endpoint did not report them.
    """

    def __init__(self, kind: str, message: str, spent: tuple[int, int | None, int | None] = (0, 0, 0)) -> None:
        super().__init__(message)
        self.kind, self.spent = kind, spent

    def __reduce__(self) -> tuple[object, ...]:
        return CallError, (self.kind, str(self), self.spent)


class VoicesLostError(MultiplexError):
    """Fewer voices answered than `--min-voices` asks for; `lost` names the silent perspectives."""

    exit_code = 4

    def __init__(self, message: str, lost: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.lost = lost


class MemoryLostError(MultiplexError):
    """The database of the conversations is away, full, locked or damaged; what it held is not given up for lost."""


class InvalidField(NamedTuple):
    """A field that is not as its model has it: its place, from the outermost part inwards, and what is wrong."""

    place: tuple[int | str, ...]
    problem: str

    @property
    def field(self) -> str:
        """The place as a message names it; empty where the whole is wrong."""
        return ".".join(map(str, self.place))


def first_invalid(error: ValidationError) -> InvalidField:
    """The first of what pydantic found wrong, without the value that was given."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return InvalidField(first["loc"], first["msg"])


def _content_error(path: Path | str, problem: str, line: int | None, field: str) -> ContentError:
    return ContentError(path, problem, line=line, field=field)
