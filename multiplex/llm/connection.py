"""What one event loop holds of an endpoint."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from multiplex.errors import WeightsError
from multiplex.llm.limiter import Limiter
from multiplex.llm.spec import ModelSpec, api_key
from multiplex.llm.transport import Clients, http_client

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel


@dataclass
class Connection:
    """The clients, their limiter, the key (empty: none), and the parameters that the endpoint has refused.

    `clients` is None where `client` is a chat model of the caller's, whose connections are its own.
    """

    client: BaseChatModel
    clients: Clients | None
    limiter: Limiter
    secret: str
    refused: set[str] = field(default_factory=set)


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
    """A line whose connections are made when they are needed."""
    from langchain_openai import ChatOpenAI
    from pydantic import SecretStr

    client = ChatOpenAI(
        model=spec.model,
        base_url=base_url,
        api_key=SecretStr(secret or "none"),  # the client wants one even where the endpoint does not
        max_retries=0,
        timeout=spec.timeout,
        stream_chunk_timeout=None,
        http_async_client=http_client(spec.timeout),
    )
    clients = Clients(client.root_async_client, spec.timeout)
    return Connection(client, clients, limiter or Limiter(spec.limit, name=spec.name), secret)
