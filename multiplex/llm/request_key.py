"""What names a request in a ledger."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from multiplex.content import sha256
from multiplex.llm.spec import ModelSpec
from multiplex.llm.types import Call

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage


def request_key(spec: ModelSpec, messages: Sequence[BaseMessage], call: Call) -> str:
    """Hex SHA-256 of what decides a reply: the model, the messages and the parameters, as they are wanted."""
    wanted = {
        "model": spec.model,
        "place": spec.place,
        "messages": [(message.type, str(message.text)) for message in messages],
        "max_tokens": call.max_tokens,
        "seed": call.seed,
        "grammar": call.grammar if spec.local else None,
        "response_format": call.response_format,
        "temperature": spec.temperature if call.temperature is None else call.temperature,
    }
    if call.top_logprobs is not None:  # absent otherwise, so that keys of older runs stay what they are
        wanted["top_logprobs"] = call.top_logprobs
    return sha256(json.dumps(wanted, sort_keys=True))
