"""`multiplex serve` as its user runs it: a real process on a free loopback port."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Any, cast

import httpx

from tests.backend import Backend
from tests.command import COMMAND, at

KEY = "a-key-for-the-tests"
_FOREIGN = ("MULTIPLEX_", "OPENAI_", "OLLAMA_", "XDG_CONFIG_HOME")
_BARE = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)} | {
    "XDG_CONFIG_HOME": os.devnull,  # no configuration file of the person who runs the tests
    "MULTIPLEX_CHECK": "none",  # an essay is streamed as it comes; test_checked.py has servers with the check
}


@dataclass
class Served:
    """The running process: its address, and what it logs."""

    url: str
    process: subprocess.Popen[str]
    errors: list[str] = field(default_factory=list)

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    @property
    def logs(self) -> list[dict[str, Any]]:
        """The structured lines on standard error so far."""
        return [json.loads(line) for line in list(self.errors) if line.startswith("{")]

    def chat(self, question: str = "What do we owe the dead?", **fields: Any) -> httpx.Response:
        """One request, whole."""
        body = {"model": "multiplex", "messages": [{"role": "user", "content": question}], **fields}
        return httpx.post(f"{self.base_url}/chat/completions", json=body, timeout=60)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Tell it to stop and wait until it has; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)


@contextmanager
def serving(
    backend: Backend, *flags: str, env: dict[str, str] | None = None, port: int = 0, before: str = ""
) -> Iterator[Served]:
    """The server over a backend, gone when the block ends; `before` is Python that its process runs first."""
    process = subprocess.Popen(
        [*COMMAND[:-1], f"{before}\n{COMMAND[-1]}", "serve", *at(backend), "--port", str(port), *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**_BARE, **(env or {})},
    )
    out, err = cast(IO[str], process.stdout), cast(IO[str], process.stderr)
    served = Served("", process)
    reader = threading.Thread(target=lambda: served.errors.extend(iter(err.readline, "")), daemon=True)
    reader.start()
    try:
        line = out.readline()
        if not line.startswith("serving "):
            process.wait(30)
            reader.join(5)
            raise AssertionError(f"the server did not start: {line}{''.join(served.errors)}")
        served.url = line.split()[1].removesuffix("/v1:")
        yield served
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
        process.wait()
        reader.join(5)
        out.close()
        err.close()
    assert not any("Traceback" in line for line in served.errors), "".join(served.errors)
