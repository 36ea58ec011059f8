"""What models cost: prices that the user gives."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from multiplex.content import read_text, read_yaml
from multiplex.errors import ContentError, UsageError, first_invalid
from multiplex.llm.spec import LOCAL
from multiplex.llm.usage import Usage

PER = 1_000_000  # tokens that a price is given for
FORM = '"NAME" = { input = 0.5, output = 1.5 }, in USD per million tokens'


class Price(BaseModel):
    """What a model costs, in USD per million tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    input: float = Field(ge=0, allow_inf_nan=False)
    output: float = Field(ge=0, allow_inf_nan=False)

    def of(self, input_tokens: float, output_tokens: float) -> float:
        """USD for this many tokens."""
        return (input_tokens * self.input + output_tokens * self.output) / PER


FREE = Price(input=0, output=0)


class Prices(BaseModel):
    """The prices of models, by the name under which a run asks them (`openai:NAME`, `NAME`, `local`)."""

    model_config = ConfigDict(frozen=True)
    models: dict[str, Price] = {}

    @classmethod
    def read(cls, path: Path) -> Prices:
        """The prices of a TOML, YAML or JSON file, told apart by its ending.

        Raises:
            ContentError: the file cannot be read, or is not a table of models with an input and an output price.
        """
        data = _data(path)
        if not isinstance(data, dict) or not data:
            raise ContentError(path, f"holds no prices; each model needs {FORM}")
        try:
            return cls.model_validate({"models": data})
        except ValidationError as error:
            wrong = first_invalid(error)
            field = wrong.field.removeprefix("models.")
            raise ContentError(path, f"{wrong.problem}; each model needs {FORM}", field=field) from error

    def price(self, model: str) -> Price | None:
        """A model's price, None where it is not known; a model that this machine runs costs nothing."""
        own = model == LOCAL or model.startswith(f"{LOCAL}:")
        return self.models.get(model, FREE if own else None)

    def cost(self, model: str, usage: Usage) -> float | None:
        """USD for what a model used; None where it has no price here, or its endpoint did not report its tokens."""
        price = self.price(model)
        if price is None or usage.input_tokens is None or usage.output_tokens is None:
            return None
        return price.of(usage.input_tokens, usage.output_tokens)

    def total(self, spent: Mapping[str, Usage]) -> float | None:
        """USD for what several models used; None where one that was called has no price or reported no tokens."""
        costs = [self.cost(model, usage) for model, usage in spent.items() if usage.calls]
        known = [cost for cost in costs if cost is not None]
        return sum(known) if len(known) == len(costs) else None


def _data(path: Path) -> Any:
    kind = path.suffix.lower()
    if kind in (".yaml", ".yml"):
        return read_yaml(path)
    if kind not in (".toml", ".json"):
        raise UsageError(f"{path}: prices stand in a .toml, .yaml or .json file")
    try:
        return tomllib.loads(read_text(path)) if kind == ".toml" else json.loads(read_text(path))
    except (tomllib.TOMLDecodeError, json.JSONDecodeError) as error:
        raise ContentError(path, f"not valid {kind[1:].upper()}: {error}") from error
