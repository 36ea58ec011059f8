"""The models that a server offers: strategies, and one for every council."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from multiplex.council.order import STRATEGIES, Strategy
from multiplex.council.personas import Council

COUNCIL_STRATEGY: Strategy = "multiplex"


@dataclass(frozen=True)
class ServedModel:
    """A name that a chat app asks for, and what answers; `council` is None for a single call."""

    name: str
    strategy: Strategy
    council: Council | None = None


def offers(councils: Mapping[str, Council]) -> dict[str, ServedModel]:
    """Every offer by its name: the strategies, and `multiplex/NAME` for every council of the configuration."""
    whole = Council.load()
    plain = [ServedModel(name, name, whole if name == COUNCIL_STRATEGY else None) for name in reversed(STRATEGIES)]
    named = [
        ServedModel(f"{COUNCIL_STRATEGY}/{name}", COUNCIL_STRATEGY, council)
        for name, council in sorted(councils.items())
    ]
    return {offer.name: offer for offer in (*plain, *named)}
