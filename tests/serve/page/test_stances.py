"""A closed question on the page: who is asked, what is shown of each voice, and what is told where none was asked."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.backend import Body, Say, Script
from tests.serve.page.browser import Reader, ask, chromium, ended, overflows, serious
from tests.serve.page.scripted import VOICES, Play, part
from tests.serve.page.visit import House, calls, told

QUESTION = "هل ينبغي أن يقرر كبار السن في شؤون الأسرة؟"  # should the old decide in the family?
YES, NO = "نعم", "<img src=x onerror=window.hacked=1>"


def choosing(play: Play, yes: dict[str, float]) -> Script:
    """The play, in which each voice says YES with this probability where it is asked to choose."""

    def script(body: Body, number: int) -> Say:
        if not body.get("logprobs"):
            return play(body, number)
        with play._lock:
            play.asked.append(part(body))
        first = yes[part(body)] if f"A. {YES}" in body["messages"][-1]["content"] else 1 - yes[part(body)]
        top = [{"token": sign, "logprob": math.log(p)} for sign, p in (("A", first), ("B", 1 - first))]
        return Say("A", logprobs={"content": [{**top[0], "top_logprobs": top}]})

    return script


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


def test_every_voice_that_spoke_has_a_band_and_a_lost_one_was_not_asked(house: House, browser: Browser) -> None:
    house.play.change(["western"], status=500)
    house.backend.script = choosing(house.play, dict.fromkeys(VOICES, 0.9) | {"african": 0.25})
    view = {"viewport": {"width": 360, "height": 800}, "color_scheme": "dark", "reduced_motion": "reduce"}
    reader = Reader(browser, house.page.served, bypass_csp=True, **view)
    page = reader.open()
    page.get_by_label("Options, if it is a closed question").fill(YES)
    expect(page.locator("#told")).to_contain_text("two to 9 different options")
    page.get_by_label("Options, if it is a closed question").fill(f"{YES} | {NO}")
    page.get_by_label("uniplex").uncheck()
    ask(page, QUESTION)
    ended(page)
    section = page.get_by_role("region", name="Where the voices stand")
    rows = section.get_by_role("list", name="Voices").get_by_role("listitem")
    expect(rows).to_have_count(7)
    expect(section.locator("[data-perspective=african]")).to_contain_text("25%")
    expect(section.locator("[data-perspective=western]")).to_contain_text("not asked: this voice was lost")
    expect(section.locator(".agreement")).to_contain_text("5")
    assert section.locator(".agreement").evaluate("e => getComputedStyle(e).direction") == "rtl"
    widths = section.locator("[data-perspective=african] .part").evaluate_all("all => all.map(e => e.offsetWidth)")
    assert widths[0] / sum(widths) == pytest.approx(0.25, abs=0.02)
    expect(section.get_by_role("list", name="Options").get_by_role("listitem")).to_have_text([YES, NO])
    assert page.evaluate("window.hacked") is None
    assert serious(page) == {}
    assert not overflows(page)
    page.emulate_media(color_scheme="light")
    assert serious(page) == {}
    reader.leave()
    assert [len(calls(house.backend, who)) for who in ("african", "western")] == [3, 1]


def test_calls_for_stances_are_told_before_they_are_made(house: House) -> None:
    house.backend.script = choosing(house.play, dict.fromkeys(VOICES, 0.9))
    wanted = {"strategies": ["multiplex"], "stance": f"{YES}|{NO}"}
    estimate = house.page.estimate(**wanted)
    view = house.page.answered(**wanted)
    assert estimate["calls"] == len(house.backend.requests) == view["answers"]["multiplex"]["usage"]["calls"]
    assert (
        view["stance"]["line"]
        == f"Aligned: 7 lean to {YES!r} ({', '.join(r['title'] for r in view['stance']['rows'])})."
    )


def test_a_council_without_an_answer_was_asked_nothing(house: House) -> None:
    house.play.change(VOICES, status=500)
    view = house.page.answered(strategies=["multiplex", "uniplex"], stance="a|b")
    assert (view["stance"]["rows"], view["stance"]["line"]) == ([], None)
    assert house.page.answered(strategies=["uniplex"])["stance"] is None


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"stance": "agree"}, "from two to 9 different ones"),
        ({"stance": "a|a"}, "such as agree|disagree"),
        ({"stance": "a|b", "strategies": ["uniplex"]}, "ask multiplex too"),
    ],
)
def test_options_that_cannot_be_put_to_voices_are_refused(house: House, fields: dict[str, object], why: str) -> None:
    body = {"question": "Should the old decide?", **fields}
    assert why in told(house.page.post("/page/answers", **body), 400, param="stance")
    assert house.backend.requests == []
