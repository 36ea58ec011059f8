"""What a run may cost: prices that the user gives, and a bound on tokens or money that stops it."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from multiplex.content import read_text, read_yaml
from multiplex.errors import ContentError, MultiplexError, UsageError
from multiplex.llm.spec import LOCAL
from multiplex.llm.usage import Usage

PER = 1_000_000  # tokens that a price is given for
FORM = '"NAME" = { input = 0.5, output = 1.5 }, in USD per million tokens'


class BudgetSpentError(MultiplexError):
    """The tokens or the money that a run may use are used up; no further call may be made."""


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
            first = error.errors(include_url=False, include_input=False)[0]
            field = ".".join(str(part) for part in first["loc"][1:])
            raise ContentError(path, f"{first['msg']}; each model needs {FORM}", field=field) from error

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


class Budget:
    """What a run has used, call by call, and what it may use in all; what it used before it was continued counts.

    Args:
        max_tokens: input and output tokens together; None sets no bound.
        max_usd: None sets no bound.
        prices: of every model, where `max_usd` is set; of any, otherwise.
        spent: by model, what earlier starts of this run used.
        models: the models that will be asked.

    Raises:
        UsageError: a bound is not positive, or `max_usd` is set and a model has no price.
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        max_usd: float | None = None,
        prices: Prices | None = None,
        spent: Mapping[str, Usage] | None = None,
        *,
        models: Iterable[str] = (),
    ) -> None:
        self.max_tokens, self.max_usd = max_tokens, max_usd
        self.prices = prices or Prices()
        self.spent = dict(spent or {})
        _check(max_tokens, max_usd, self.prices, {*models, *self.spent})

    @property
    def bounded(self) -> bool:
        """Whether there is any bound."""
        return self.max_tokens is not None or self.max_usd is not None

    def add(self, model: str, usage: Usage) -> None:
        """Count a reply."""
        self.spent[model] = self.spent.get(model, Usage()) + usage

    @property
    def tokens(self) -> int | None:
        """Input and output tokens so far; None where an endpoint did not report them."""
        counts = [count for usage in self.spent.values() for count in (usage.input_tokens, usage.output_tokens)]
        return None if None in counts else sum(cast("list[int]", counts))

    @property
    def usd(self) -> float | None:
        """Money so far; None where a model that was asked has no price or did not report its tokens."""
        costs = [self.prices.cost(model, usage) for model, usage in self.spent.items() if usage.calls]
        return None if None in costs else sum(cast("list[float]", costs))

    def admit(self) -> None:
        """Let a further call be made.

        Calls under way are not known here, so that a run exceeds its bound by what they cost.

        Raises:
            BudgetSpentError: a bound is reached, or cannot be kept since an endpoint does not report its tokens.
        """
        if not self.bounded:
            return
        for model, usage in self.spent.items():
            if usage.input_tokens is None or usage.output_tokens is None:
                flag = "--max-tokens" if self.max_tokens is not None else "--max-usd"
                raise BudgetSpentError(
                    f"{flag} cannot be kept: the endpoint of {model!r} does not report tokens; run without {flag}"
                )
        tokens, usd = self.tokens, self.usd
        if self.max_tokens is not None and tokens is not None and tokens >= self.max_tokens:
            raise BudgetSpentError(
                f"--max-tokens {self.max_tokens:,} is spent ({tokens:,} used); the same command with more continues"
            )
        if self.max_usd is not None and usd is not None and usd >= self.max_usd:
            raise BudgetSpentError(
                f"--max-usd {self.max_usd:g} is spent (${usd:.4f} used); the same command with more continues"
            )


def _check(max_tokens: int | None, max_usd: float | None, prices: Prices, models: set[str]) -> None:
    if max_tokens is not None and max_tokens < 1:
        raise UsageError(f"--max-tokens {max_tokens}: at least 1")
    if max_usd is None:
        return
    if not 0 < max_usd < float("inf"):
        raise UsageError(f"--max-usd {max_usd:g}: must be more than 0")
    missing = sorted(model for model in models if prices.price(model) is None)
    if missing:
        raise UsageError(
            f"--max-usd: what {missing[0]!r} costs is not known, so money cannot be counted; "
            f"give its price with --prices FILE ({FORM}), or use --max-tokens"
        )


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
