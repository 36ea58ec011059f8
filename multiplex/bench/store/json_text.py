"""How a model of ours stands in the database as text, and how it comes back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from multiplex.errors import UsageError, first_invalid

_Model = TypeVar("_Model", bound=BaseModel)


def as_json(model: BaseModel) -> str:
    """The model as JSON."""
    try:
        return model.model_dump_json()
    except ValueError:  # half a character in a language model's text has no UTF-8
        return join_halves(json.dumps(model.model_dump(), ensure_ascii=False))


def join_halves(text: str) -> str:
    """The text with halves of characters joined, or replaced where the other half is missing."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def parsed(kind: type[_Model], text: str, path: Path, where: str) -> _Model:
    """The model that stands there as JSON; `path` and `where` say where that is.

    Raises:
        UsageError: it is not of this kind.
    """
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        wrong = first_invalid(error)
        raise UsageError(
            f"{path}: {where}: its {kind.__name__.lower()} is damaged or of another version "
            f"({wrong.field}: {wrong.problem}); use the version that wrote it, or name another run"
        ) from error
