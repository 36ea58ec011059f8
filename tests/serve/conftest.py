from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.backend import Backend, running
from tests.serve.server import Served, serving


@dataclass(frozen=True)
class House:
    """One running server and the backend that it asks."""

    backend: Backend
    served: Served


@pytest.fixture(scope="module")
def _house() -> Iterator[House]:
    with running() as backend, serving(backend, env={"MULTIPLEX_RETRIES": "1"}) as served:
        yield House(backend, served)


@pytest.fixture
def house(_house: House) -> House:
    """A server that the tests of a module share, over a backend that has heard nothing yet."""
    _house.backend.script = Backend("").script
    _house.backend.requests.clear()
    return _house
