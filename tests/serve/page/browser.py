"""A headless Chromium that looks at the page, and an account of what it must not do meanwhile."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Response,
    expect,
    sync_playwright,
)

from tests.serve.server import Served

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
PATIENCE = 20_000  # milliseconds that anything may take
FIRST = 120_000  # milliseconds until the first answer is measured: the extractor is loaded meanwhile
_REFUSED = re.compile(r"Failed to load resource: (?:the server responded with a status of (\d+)|(net)::)")

expect.set_options(timeout=PATIENCE)


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser; the test is skipped where there is none."""
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip(f"no browser here to look at the page with: none of {', '.join(NAMES)} is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


class Reader:
    """One person with a fresh browser before one server's page.

    `expects` is what Chromium may report on its console because the test brings it about: statuses ("404"), and "net"
    for a server that is away.
    """

    def __init__(self, browser: Browser, served: Served, **options: Any) -> None:
        self.served = served
        self.expects: set[str] = set()
        self._wrong: list[str] = []
        self._documents = 0
        self.context: BrowserContext = browser.new_context(**options)
        self.context.set_default_timeout(PATIENCE)
        self.context.on("console", self._said)
        self.context.on("weberror", lambda error: self._wrong.append(f"error: {error.error}"))
        self.context.on("request", self._asked)
        self.context.on("response", self._answered)

    def open(self, path: str = "/") -> Page:
        """A new tab at this path."""
        page = self.context.new_page()
        page.goto(self.served.url + path)
        return page

    def leave(self) -> None:
        """Close the browser's window; nothing may have gone wrong in it."""
        self.context.close()
        assert not self._wrong, "\n".join(self._wrong)
        assert self._documents, "no document was opened"

    def _said(self, message: ConsoleMessage) -> None:
        if message.type not in ("error", "warning"):
            return
        known = _REFUSED.match(message.text)
        if known is None or not self.expects & set(known.groups()):
            self._wrong.append(f"console: {message.type}: {message.text}")

    def _asked(self, request: Request) -> None:
        if urlsplit(request.url)[:2] != urlsplit(self.served.url)[:2]:
            self._wrong.append(f"asked another host: {request.url}")

    def _answered(self, response: Response) -> None:
        if response.request.resource_type != "document":
            return
        self._documents += 1
        policy = response.headers.get("content-security-policy", "")
        if "default-src 'none'" not in policy or "unsafe-inline" in policy.partition("script-src")[2].split(";")[0]:
            self._wrong.append(f"no strict policy: {response.url}: {policy}")


def ask(page: Page, question: str = "Who cares for a parent who grows old?") -> None:
    """Write a question and send it, and wait until the page shows it."""
    before = page.url
    page.locator("#question").fill(question)
    page.locator("#ask").click()
    page.mouse.move(0, 0)  # what comes to lie under the pointer would be pointed at
    expect(page).not_to_have_url(before)
    expect(page.locator("h1")).to_have_text(question.strip())


def ended(page: Page, timeout: float = FIRST) -> None:
    """Wait until the answer is whole and measured."""
    expect(page.locator("section#answer[data-state=ended]")).to_be_visible(timeout=timeout)


def cards(page: Page, state: str = "") -> list[str]:
    """The perspectives of the voices' cards in the order in which they stand, or of those in one state."""
    wanted = f"[data-state={state}]" if state else ""
    found: list[str] = page.locator(f"article.voice{wanted}").evaluate_all("all => all.map(e => e.dataset.perspective)")
    return found


def serious(page: Page) -> dict[str, list[str]]:
    """What axe-core finds serious or critical, by its rule, with where; the page's policy must be bypassed."""
    found = Axe().run(page).response["violations"]
    return {
        each["id"]: [", ".join(map(str, node["target"])) for node in each["nodes"]]
        for each in found
        if each["impact"] in ("serious", "critical")
    }


def overflows(page: Page) -> bool:
    """Whether the document is wider than its window."""
    wide: bool = page.locator("html").evaluate("root => root.scrollWidth > root.clientWidth")
    return wide
