"""The page of an essay, in Chromium: names lead to the voices and back, and what the check found is in sight."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.backend import Backend, Body, Say, asked, running
from tests.serve.page.browser import Reader, ask, chromium, ended, overflows, serious
from tests.serve.page.scripted import VOICES, part
from tests.serve.page.visit import opened
from tests.serve.server import Served

ESSAY = """Much turns on where care begins. For Kant it begins with a rule; Koreans greet elders first.

Ubuntu, among the Akan, shares it; Muslims owe kindness, and Hindus speak of debts to parents. Liberation theologians
begin with those who suffer, many Māori thinkers with land and water."""
QUOTE = "theologians BEGIN with those who suffer"  # over a line's end, and in capitals
FOUND = {"kind": "sharpened", "quote": QUOTE, "tradition": "Latin American", "why": "Some do."}


def script(body: Body, _: int) -> Say:
    text = asked(body)
    if text.startswith("You check an essay"):
        return Say(json.dumps({"findings": [FOUND]}))
    if '<voice tradition="' in text:
        return Say(ESSAY + (" It was 1975." if "Your essay was read" not in text else ""))
    return Say(VOICES.get(part(body), "Families decide."))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Backend, Served]]:
    with running() as backend, opened(backend, "--check", "model") as server:
        backend.script = script
        yield backend, server


@pytest.mark.parametrize("width", [360, 1280])
def test_a_name_leads_to_the_voice_that_named_it_and_back(
    browser: Browser, served: tuple[Backend, Served], width: int
) -> None:
    reader = Reader(browser, served[1], viewport={"width": width, "height": 800}, bypass_csp=True)
    page = reader.open()
    ask(page)
    ended(page)
    voices = page.locator("details#voices")
    expect(voices).not_to_have_attribute("open", "")
    link = page.locator("a.to-voice[data-voice=western]")
    expect(link).to_have_attribute("aria-label", "Kant: named by western")
    link.focus()
    page.keyboard.press("Enter")
    expect(voices).to_have_attribute("open", "")
    expect(page.locator("article#voice-western")).to_be_focused()
    expect(page.locator("article#voice-western")).to_be_in_viewport()
    page.locator("article#voice-western p.taken a", has_text="Kant").click()
    expect(link).to_be_focused()
    assert not overflows(page)
    assert serious(page) == {}
    reader.leave()


def test_what_the_check_found_is_in_sight_where_it_remains(browser: Browser, served: tuple[Backend, Served]) -> None:
    reader = Reader(browser, served[1])
    page = reader.open()
    ask(page)
    ended(page)
    found = page.locator("details.findings")
    expect(found).to_have_attribute("open", "")
    expect(found.locator("summary")).to_have_text("What the check found (2; 1 remain)")
    expect(found).to_contain_text("number, revised")
    mark = page.locator("a.to-finding")
    expect(mark).to_have_attribute("title", "Some do.")
    mark.click()
    expect(page.locator("#finding-1")).to_be_focused()
    found.get_by_text("where it stands").click()
    expect(mark).to_be_focused()
    assert "1975" not in page.locator("#panel-multiplex .prose").inner_text()
    link = page.url
    page.close()
    again = reader.open(link.removeprefix(served[1].url))  # the permalink
    ended(again)
    expect(again.locator("a.to-finding")).to_be_visible()
    reader.leave()
