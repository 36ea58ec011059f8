from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backend import Backend, running
from tests.command import FORKS
from tests.forkserver import Forkserver


@pytest.fixture(scope="session", autouse=True)
def forkserver() -> Iterator[None]:
    """What the commands of the tests are forked from; it imports while the first tests run."""
    server = Forkserver(FORKS)
    yield
    server.stop()
    Path(FORKS).unlink(missing_ok=True)


@pytest.fixture
def backend() -> Iterator[Backend]:
    with running() as server:
        yield server


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No setting or key of the person who runs the tests reaches them."""
    for name in list(os.environ):
        if name.startswith("MULTIPLEX_") or name in (
            "OPENAI_API_KEY",
            "OPENAI_BASE_URL",
            "OPENAI_API_BASE",
            "OLLAMA_HOST",
        ):
            monkeypatch.delenv(name)
    monkeypatch.setenv("MULTIPLEX_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
