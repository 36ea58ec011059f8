from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backend import Backend, running
from tests.command import FORKS
from tests.forkserver import Forkserver

SLOW = {
    ".": """cli readme score terminal""",
    "bench": """bad_luck batches commands damage estimate measuring parts questions ratings ray report runner shards
        store""",
    "council": """essay graph harms injection positions threads""",
    "evaluation": """coverage evaluator resampling sentiment""",
    "llm": """chat embeddings limiter replies weights""",
    "serve": """api bad_input bad_luck checked connections examples fields fuzz mcp memory responses stopping
        studio threads tracing who_may_ask""",
    "survey": """run ways""",
    "serve/page": """api asking browser essay estimating fuzz keeping prose runs stances""",
}
"""Modules that take more than three seconds or run commands, by their folder; `pytest -m fast` runs the others."""


LONGEST = (
    "serve/page/test_browser.py", "bench/test_ray.py", "serve/test_bad_luck.py", "bench/test_batches.py", "test_cli.py",
    "serve/test_memory.py", "llm/test_weights.py", "bench/test_bad_luck.py",
)  # fmt: skip
"""Modules that take longest: they begin, so that no process ends long after the others."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test as fast or slow, by its module; the longest modules come first."""
    here = Path(__file__).parent
    rank = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.relative_to(here).as_posix(), len(LONGEST)))
    for item in items:
        place = item.path.relative_to(here)
        slow = place.stem.removeprefix("test_") in SLOW.get(str(place.parent), "").split()
        item.add_marker(pytest.mark.slow if slow else pytest.mark.fast)


@pytest.fixture(scope="session", autouse=True)
def forkserver(request: pytest.FixtureRequest) -> Iterator[None]:
    """What the commands of the slow tests are forked from; it imports while the first tests run."""
    if not any(item.get_closest_marker("slow") for item in request.session.items):
        yield
        return
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
