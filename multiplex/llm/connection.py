"""What one event loop holds of an endpoint."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from multiplex.errors import WeightsError
from multiplex.llm.adaptation import Change
from multiplex.llm.clients import api_client
from multiplex.llm.limiter import Limiter, steady
from multiplex.llm.reasoning import Manner
from multiplex.llm.spec import ModelSpec, api_key

if TYPE_CHECKING:
    from openai import AsyncOpenAI


@dataclass
class Connection:
    """The client, its limiter, the key (empty: none), what the endpoint has refused, and how its model thinks.

    `client` is None where the caller brought a chat model of LangChain, whose connections are its own.
    """

    client: AsyncOpenAI | None
    limiter: Limiter
    secret: str
    changes: tuple[Change, ...] = ()
    manner: Manner = field(default_factory=Manner)


async def endpoint(spec: ModelSpec) -> tuple[str | None, str]:
    """Where a model is called (None: OpenAI), and with which key; the embedded server is started.

    Raises:
        UsageError: the key's environment variable is not set.
        WeightsError: the embedded model cannot be had.
    """
    if spec.unavailable is not None:
        raise WeightsError(spec.unavailable)
    if spec.local:
        from multiplex.llm.local.download import ensure
        from multiplex.llm.local.server import embedded_server

        path = await asyncio.to_thread(ensure, spec.gguf)
        server = await asyncio.to_thread(embedded_server, path)
        return server.base_url, server.key.get_secret_value()
    key = api_key(spec)
    return spec.base_url, key.get_secret_value() if key else ""


def opened(spec: ModelSpec, base_url: str | None, secret: str, limiter: Limiter | None) -> Connection:
    """A line whose connections are made when they are needed.

    Raises:
        UsageError: the environment names a proxy or certificates that cannot be used.
    """
    client = api_client(base_url, secret, spec.timeout)
    return Connection(client, limiter or steady(spec), secret)
