"""What a run may cost: a bound on tokens or money that stops it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

from multiplex.errors import MultiplexError, UsageError
from multiplex.llm.prices import FORM, Prices
from multiplex.llm.usage import Usage


class BudgetSpentError(MultiplexError):
    """The tokens or the money that a run may use are used up; no further call may be made."""


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
        return self.prices.total(self.spent)

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
