"""The embedded model: llama.cpp's own OpenAI-compatible server, run inside this process on loopback."""

from __future__ import annotations

import os
import secrets
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from multiplex.errors import WeightsError

PERSONA_SLOTS = 7  # one for each persona of the default council, which keeps its prompt there
PLAIN_SLOT = PERSONA_SLOTS  # strategies of one call
PLANNING_SLOT = PERSONA_SLOTS + 1
SLOTS = PERSONA_SLOTS + 2
SLOT_TOKENS = 2048  # prompt and reply of one call

_servers: dict[Path, EmbeddedServer] = {}
_starting = threading.Lock()


@dataclass(frozen=True)
class EmbeddedServer:
    """A running server: the base URL of its OpenAI-compatible API, and the key that only this process knows."""

    base_url: str
    key: SecretStr
    handle: Any  # keeps llama.cpp's threads alive


def embedded_server(path: Path) -> EmbeddedServer:
    """The server for a GGUF file, started if this process has none yet; takes seconds the first time.

    It lives as long as the process, so that the next question finds the model loaded and the personas' prompts
    in its cache. It listens on a free loopback port and answers only to its key.

    Raises:
        WeightsError: llama.cpp cannot load the file.
    """
    path = path.resolve()
    with _starting:
        if path not in _servers:
            _servers[path] = _start(path)
        return _servers[path]


def _start(path: Path) -> EmbeddedServer:
    # libgomp's threads spin while they wait; on few cores that steals the time of the threads that work.
    os.environ.setdefault("GOMP_SPINCOUNT", "0")
    import xllamacpp

    key = secrets.token_urlsafe(24)
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [key]
    params.ui = False
    params.verbosity = -1  # llama.cpp would otherwise write its log into the terminal
    params.warmup = False
    params.n_parallel = SLOTS
    params.n_ctx = SLOTS * SLOT_TOKENS
    params.cache_ram_mib = 0  # every persona keeps its own slot; a second cache in memory would only cost
    try:
        server = xllamacpp.Server(params)
    except (RuntimeError, ValueError) as error:
        raise WeightsError(
            f"{path}: llama.cpp cannot load this file as a model ({str(error).strip() or 'no reason given'}); "
            "run `multiplex models verify`, or name another GGUF"
        ) from error
    return EmbeddedServer(f"{server.listening_address}/v1", SecretStr(key), server)
