"""The alternatives of a reply's tokens: how they are written down, and which mass each of some labels has."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from multiplex.errors import CallError
from multiplex.llm.outcome import UnusableError
from multiplex.llm.reading import Completion

MOST = 20  # alternatives that an endpoint gives of a token
TOKENS = 4  # of a reply that is asked for its first letter: some models begin with a bracket or a line break
_AROUND = " \t\r\n\"'`*_.,:;()[]{}<>«»“”‘’▁Ġ"


class LabelMass(NamedTuple):
    """Probability mass on labels, and on everything else, 0..1 each."""

    inside: tuple[float, ...]
    outside: float


def write_alternatives(said: Completion, at: str) -> str:
    """The alternatives of the first tokens as JSON: a list a token of [token, log probability].

    `at` names the model and its endpoint.

    Raises:
        UnusableError: the endpoint sent none; another attempt would be paid for the same.
    """
    tokens = []
    for each in said.logprobs[:TOKENS]:
        told = [(o.get("token"), o.get("logprob")) for o in each.get("top_logprobs") or ()]
        own = (each.get("token"), each.get("logprob"))
        pairs = [own, *told] if own not in told else [own, *(pair for pair in told if pair != own)]
        tokens.append([[str(token), float(value)] for token, value in pairs if isinstance(value, int | float)])
    if not tokens or len(tokens[0]) < 2:
        why = f"{at} returns no log probabilities of tokens; ask with the method verbalised or sample"
        raise UnusableError(CallError("bad_request", why), 1, said.usage)
    return json.dumps(tokens, ensure_ascii=False)


def read_alternatives(text: str, labels: Sequence[str]) -> LabelMass:
    """The mass on each label at the first token of `write_alternatives`' text that is more than signs and space.

    Signs and space around a label are passed over, so that " A", "(A" and "A." are all A; what is left must be the
    label, in its case. Alternatives beyond the endpoint's list count as outside.
    """
    tokens = json.loads(text)
    chosen: list[Any] = next((token for token in tokens if token and token[0][0].strip(_AROUND)), tokens[0])
    inside = dict.fromkeys(labels, 0.0)
    for token, value in chosen:
        label = token.strip(_AROUND)
        if label in inside:
            inside[label] += math.exp(min(0.0, value))
    total = min(1.0, math.fsum(inside.values()))
    return LabelMass(tuple(inside.values()), 1 - total)
