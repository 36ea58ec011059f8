"""Whether a model is there, found out without a call that costs anything."""

from __future__ import annotations

import asyncio

from multiplex.errors import MultiplexError
from multiplex.llm.clients import api_client
from multiplex.llm.error_mapping import explain
from multiplex.llm.spec import ModelSpec, api_key

PATIENCE = 3.0  # seconds
UNLISTED = (404, 405, 501)  # from endpoints that do not list their models


async def unreachable(spec: ModelSpec) -> str | None:
    """Why this model cannot be called, in one line; None where its endpoint answers, or its weights are here."""
    if spec.local:
        from multiplex.llm.local.weights import locate

        there = spec.gguf is not None or locate() is not None
        return None if there else "the embedded model is not here; `multiplex models pull` fetches it"
    try:
        key = api_key(spec)
    except MultiplexError as error:
        return str(error)
    secret = key.get_secret_value() if key else ""
    try:
        client = api_client(spec.base_url, secret, PATIENCE)
    except MultiplexError as error:
        return str(error)
    try:
        async with asyncio.timeout(PATIENCE):
            await client.get("/models", cast_to=object)
    except Exception as error:
        status = getattr(error, "status_code", None)
        if status in UNLISTED or (status == 403 and "scope" in str(error)):  # the key may do no more than call models
            return None
        return str(explain(error, spec.model_copy(update={"timeout": PATIENCE}), secret).error)
    finally:
        await client.close()
    return None
