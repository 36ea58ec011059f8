from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.backend import Backend, running
from tests.serve.page.visit import House, housed, opened
from tests.serve.server import Served


@pytest.fixture(scope="module")
def _server(request: pytest.FixtureRequest) -> Iterator[tuple[Backend, Served]]:
    with running() as backend, opened(backend, measured=getattr(request.module, "MEASURED", False)) as served:
        yield backend, served


@pytest.fixture
def house(_server: tuple[Backend, Served]) -> Iterator[House]:
    """A server with a page that the tests of a module share; it measures answers where the module says MEASURED."""
    with housed(*_server) as house:
        yield house
