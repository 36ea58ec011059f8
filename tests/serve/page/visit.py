"""A server's page as its scripts see it, for tests without a browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from tests.backend import Backend, Body
from tests.serve.luck import QUESTION, bugs, metric, until
from tests.serve.page.scripted import Play, part
from tests.serve.server import Served, serving

HASTY = {"MULTIPLEX_RETRIES": "0"}
UNMEASURED = """
import multiplex.serve.service as it
from multiplex.errors import ContentError
from multiplex.evaluation import Evaluator

def measured_answer(*_):
    raise ContentError("gazetteer.yaml", "is not there")

it.measured_answer, Evaluator.preload = measured_answer, lambda self: None
"""  # for servers that live as long as one test: to load what measures takes seconds

Numbered = tuple[int | None, dict[str, Any]]


@dataclass(frozen=True)
class Page:
    """A server's page as its scripts see it."""

    served: Served
    key: str | None = None

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        headers |= options.pop("headers", {})
        return httpx.request(method, f"{self.served.url}{path}", headers=headers, timeout=60, **options)

    def get(self, path: str) -> Any:
        reply = self.request("GET", path)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def post(self, path: str, **body: Any) -> httpx.Response:
        return self.request("POST", path, json=body)

    def ask(self, question: str = QUESTION, **fields: Any) -> str:
        reply = self.post("/page/answers", question=question, **fields)
        assert reply.status_code == 202, reply.text
        return str(reply.json()["id"])

    def estimate(self, question: str = QUESTION, **fields: Any) -> Any:
        reply = self.post("/page/estimate", question=question, **fields)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def follow(self, name: str, last: int | str | None = None) -> Iterator[Numbered]:
        """The events of a question with their numbers, until it ends."""
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        if last is not None:
            headers["Last-Event-ID"] = str(last)
        url = f"{self.served.url}/page/answers/{name}/events"
        with httpx.stream("GET", url, headers=headers, timeout=60) as reply:
            assert reply.status_code == 200
            assert reply.headers["Content-Type"].startswith("text/event-stream")
            number = None
            for line in reply.iter_lines():
                if line.startswith("id: "):
                    number = int(line[4:])
                elif line.startswith("data: "):
                    yield number, json.loads(line[6:])
                    number = None

    def ended(self, name: str) -> Any:
        """What the page shows of a question once it has ended."""
        until(lambda: self.get(f"/page/answers/{name}")["state"] == "ended", "the end", 120)  # the first is slow
        return self.get(f"/page/answers/{name}")

    def answered(self, question: str = QUESTION, **fields: Any) -> Any:
        return self.ended(self.ask(question, **fields))


@contextmanager
def opened(
    backend: Backend, *flags: str, env: dict[str, str] | None = None, measured: bool = False, before: str = UNMEASURED
) -> Iterator[Served]:
    """A server with a page, which measures nothing unless it is told to."""
    with serving(backend, "--ui", *flags, env={**HASTY, **(env or {})}, before="" if measured else before) as served:
        yield served


@dataclass(frozen=True)
class House:
    """A server with a page, and the play behind it."""

    backend: Backend
    page: Page
    play: Play


@contextmanager
def housed(backend: Backend, served: Served) -> Iterator[House]:
    """A server that tests share, for one of them: nobody has asked its backend anything, and it ends idle."""
    play, known = Play(), len(bugs(served))
    backend.script = play
    backend.requests.clear()
    yield House(backend, Page(served), play)
    until(lambda: metric(served, "multiplex_councils_under_way") == 0, "all ended")
    assert bugs(served)[known:] == []


def told(reply: httpx.Response, status: int, **expected: Any) -> str:
    """The message of a refusal."""
    assert reply.status_code == status, reply.text
    error = reply.json()["error"]
    assert error == {**error, **expected}
    assert "\n" not in error["message"]
    return str(error["message"])


def numbered(events: Iterator[Numbered]) -> list[Numbered]:
    return [each for each in events if each[0] is not None]


def kinds(events: list[Numbered], kind: str) -> list[dict[str, Any]]:
    return [event for _, event in events if event["type"] == kind]


def text_of(nodes: list[Any]) -> str:
    return "".join(node if isinstance(node, str) else text_of(node["c"]) for node in nodes)


def calls(backend: Backend, who: str) -> list[Body]:
    """What one part of the play was asked, in order."""
    return [body for body in backend.requests if part(body) == who]
