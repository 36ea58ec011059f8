"""The page of `multiplex serve --ui` in a real browser, over a backend that plays its part."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from multiplex.bench.report.page import write_report
from multiplex.bench.store.store import Store
from multiplex.evaluation.extraction.gazetteer import shipped_gazetteer
from tests.backend import Backend, asked, running
from tests.bench import synthetic
from tests.serve.luck import bugs, idle, until
from tests.serve.page.browser import FIRST, Reader, ask, cards, chromium, ended, overflows, serious
from tests.serve.page.scripted import ALONE, FULL, PERSONAS, SYNTHESIS, UNIPLEX, VOICES, Play, part
from tests.serve.server import Served, serving

ORDER = ("african", "western", "indigenous", "islamic", "latin_american", "east_asian", "south_asian")
PRICES = '"test-model" = { input = 2.0, output = 10.0 }\n'
STRENGTH = ("named", "concept", "place", "implied")
HOSTILE = (
    '<script>window.hacked=1</script><img src=x onerror="window.hacked=1"> [press](javascript:window.hacked=1) '
    '<javascript:window.hacked=1> ![i](http://elsewhere.example/i.png) <a href="javascript:window.hacked=1">a</a>'
)
Visit = Callable[..., Reader]


class House:
    """A server that keeps its answers, over a backend; it can be stopped and begun again at the same place."""

    def __init__(self, backend: Backend, flags: tuple[str, ...]) -> None:
        self.backend, self._flags, self._held = backend, flags, ExitStack()
        self.play = Play()
        self.served = self._begun(0)

    def _begun(self, port: int) -> Served:
        return self._held.enter_context(serving(self.backend, *self._flags, env={"MULTIPLEX_RETRIES": "0"}, port=port))

    def begin_again(self) -> None:
        self.stop()
        self.served.process = self._begun(int(self.served.url.rpartition(":")[2])).process

    def stop(self) -> None:
        self._held.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of every kind of luck, and its report."""
    made = tmp_path_factory.mktemp("runs")
    with ThreadPoolExecutor(1) as beside:  # the browser's own event loop runs in this thread
        beside.submit(_run, made / "a run").result()
    return made


def _run(folder: Path) -> None:
    synthetic.stored(folder, synthetic.records())
    with Store.read(folder) as store:
        write_report(folder, store, synthetic.analysis(store.records()), title="A run")


@pytest.fixture(scope="module")
def _house(browser: Browser, tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[House]:
    assert browser.is_connected()  # where there is none, no server is started either
    place = tmp_path_factory.mktemp("house")
    (place / "prices.toml").write_text(PRICES)
    flags = ("--ui", "--memory", str(place / "memory.sqlite"), "--runs", str(folder))
    with running() as backend:
        house = House(backend, (*flags, "--prices", str(place / "prices.toml")))
        try:
            yield house
        finally:
            house.stop()


@pytest.fixture
def house(_house: House) -> Iterator[House]:
    """The server that the tests of this module share, over a backend that plays anew and has heard nothing yet."""
    _house.play = _house.backend.script = Play()
    _house.backend.requests.clear()
    yield _house
    _house.play.let()
    until(lambda: idle(_house.served), "the end of every question")
    assert bugs(_house.served) == []


@pytest.fixture(scope="module")
def _answer(_house: House) -> str:
    play = _house.backend.script = Play()
    play.change(["synthesis"], text=FULL)
    question = "What do Muslims and others owe a parent?"  # one reference of the answer is an echo
    body = {"question": question, "strategies": ["multiplex", "uniplex"]}
    name = httpx.post(f"{_house.served.url}/page/answers", json=body).json()["id"]
    about = f"{_house.served.url}/page/answers/{name}"
    until(lambda: httpx.get(about).json()["state"] == "ended", "an answer", FIRST / 1000)
    return f"/answers/{name}"


@pytest.fixture
def answer(house: House, visit: Visit, _answer: str) -> Page:
    """The page of an answer that is whole."""
    page = visit(house.served, viewport={"width": 1440, "height": 900}).open(_answer)
    ended(page)
    return page


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """Begins a reader's visit to a server; nothing may have gone wrong in any when the test ends."""
    readers: list[Reader] = []

    def begin(served: Served, **options: Any) -> Reader:
        readers.append(Reader(browser, served, **options))
        return readers[-1]

    yield begin
    for reader in readers:
        reader.leave()


def card(page: Page, perspective: str) -> Locator:
    return page.locator(f"article.voice[data-perspective={perspective}]")


def record(page: Page) -> dict[str, Any]:
    """The answer's full record, downloaded as a reader does it."""
    with page.expect_download() as coming:
        page.get_by_role("link", name="JSON, the full record").click()
    found: dict[str, Any] = json.loads(coming.value.path().read_text("utf-8"))
    return found


# --- asking


def test_an_example_is_asked_and_its_price_told_before_anything_is_sent(house: House, visit: Visit) -> None:
    page = visit(house.served).open()
    example = page.locator("button.example").first
    domain, words = example.locator("span").inner_text(), example.inner_text()
    example.click()
    expect(page.locator("#question")).to_have_value(words.removeprefix(domain).strip())
    told = re.compile(r"^This will take 9 calls to .*, about [\d,]+ tokens in and [\d,]+ out: about 0\.\d\d USD\.$")
    expect(page.locator("#estimate")).to_have_text(told)
    page.get_by_label("uniplex").uncheck()
    expect(page.locator("#estimate")).to_contain_text("This will take 8 calls to")
    assert house.backend.requests == []
    page.locator("#ask").click()
    ended(page)
    assert sorted(house.play.asked) == sorted([*VOICES, "synthesis"])  # the eight calls that were told


def test_voices_are_shown_in_the_order_in_which_they_end(house: House, visit: Visit) -> None:
    page = visit(house.served).open()
    with house.play.holding([*VOICES, "synthesis"]):
        ask(page)
        expect(page.locator("article.voice")).to_have_count(7)
        assert cards(page) == list(VOICES)  # as they were called
        for number, perspective in enumerate(ORDER, 1):
            house.play.let(perspective)
            expect(page.locator("article.voice[data-state=spoke]")).to_have_count(number)
            assert cards(page, "spoke") == list(ORDER[:number]) == cards(page)[:number]
            expect(page.get_by_role("status").first).to_contain_text(f"{number} of 7 voices have spoken.")
        house.play.let()
    ended(page)
    assert cards(page) == list(ORDER)


def test_a_card_says_who_speaks_on_what_sources_and_what_it_cost(answer: Page) -> None:
    answer.locator("details#voices > summary").click()  # the voices stand folded behind the essay
    for perspective, persona in PERSONAS.items():
        each = card(answer, perspective)
        expect(each.get_by_role("heading", level=3)).to_have_text(persona.title)
        tokens = len(VOICES[perspective].split(" "))
        expect(each.locator(".cost")).to_have_text(re.compile(rf"^\d+\.\d s, {tokens} tokens, test-model$"))
        expect(each.locator(".about")).to_have_text(
            "An editorial construction, not reviewed by members of this tradition; it represents no people."
        )
        expect(each.locator(".said")).to_have_text(VOICES[perspective].replace("*", ""))
        each.locator("summary").click()
        built_on = each.locator("h4", has_text="What this persona is built on").locator(
            "xpath=following-sibling::ul[1]/li"
        )
        expect(built_on).to_have_text([f"{idea.name}: {idea.source}" for idea in persona.ideas])
        expect(built_on.first).to_be_visible()
    named = (
        card(answer, "african")
        .get_by_role("list", name="Ideas it names, and where to read them")
        .get_by_role("listitem")
    )
    expect(named).to_have_text([f"ubuntu: {PERSONAS['african'].ideas[0].source}"])


def test_both_answers_stand_side_by_side(answer: Page) -> None:
    one, other = answer.locator("#panel-multiplex"), answer.locator("#panel-uniplex")
    expect(one).to_contain_text("Seven voices answer, and they do not agree on where care begins.")
    expect(other).to_contain_text("Families decide by talking openly.")
    expect(answer.get_by_role("tablist")).to_be_hidden()
    left, right = one.bounding_box(), other.bounding_box()
    assert left is not None
    assert right is not None
    assert left["x"] + left["width"] <= right["x"]
    assert left["y"] == right["y"]
    for panel in (one, other):
        expect(panel.locator("p.soft").last).to_have_text(re.compile(r"tokens in, [\d,]+ out, (under )?0\.\d\d USD$"))


# --- references and figures


def stretches(answer: dict[str, Any]) -> list[tuple[str, str, list[int]]]:
    """Each stretch of an answer's text in which the same references hold: its words, its class, and their numbers."""
    text, found = answer["text"], answer["measures"]["found"]
    made = []
    cuts = sorted({place for each in found for place in (each["start"], each["end"])})
    for start, end in itertools.pairwise(cuts):
        here = [i for i, each in enumerate(found) if each["start"] <= start and end <= each["end"]]
        if here:
            first = min((found[i] for i in here), key=lambda each: STRENGTH.index(each["cue"]))
            echo = " echo" if first["echo"] else ""
            made.append((text[start:end], f"ref of-{first['perspective']} {first['cue']}{echo}", here))
    return made


def marks(page: Page, within: str) -> list[tuple[str, str, list[int]]]:
    """The same as the page shows it inside an element."""
    found = page.locator(f"{within} .prose mark").evaluate_all(
        """all => all.map(mark => [
            [...mark.childNodes].filter(each => each.className !== "code").map(each => each.textContent).join(""),
            mark.className, mark.dataset.r.split(" ").map(Number)])"""
    )
    return [(text, name, numbers) for text, name, numbers in found]


def test_colours_are_those_of_the_record(answer: Page) -> None:
    answers = record(answer)["answers"]
    for strategy in ("multiplex", "uniplex"):
        assert marks(answer, f"#panel-{strategy}") == stretches(answers[strategy])
    shown = marks(answer, "#panel-multiplex")
    assert ("Ubuntu", "ref of-african concept", shown[2][2]) == shown[2]
    assert all(len(numbers) == 1 for _, _, numbers in shown)  # an entity has one home, Buddhists too
    assert any(name.endswith("echo") for _, name, _ in shown)
    assert ("German", "ref of-western place") in [each[:2] for each in marks(answer, "#panel-uniplex")]
    colour = answer.locator("#panel-multiplex mark.concept.of-african").first.evaluate(
        "e => getComputedStyle(e).backgroundColor"
    )
    assert colour == "rgb(187, 204, 51)"


def test_shares_are_those_of_the_record(answer: Page) -> None:
    found = record(answer)
    measured = [found["answers"][name]["measures"] for name in ("multiplex", "uniplex")]
    table = answer.get_by_role("region", name="Shares of the perspectives")
    heads = [f"{name} (n = {each['n']})" for name, each in zip(("multiplex", "uniplex"), measured, strict=True)]
    expect(table.get_by_role("columnheader")).to_have_text(["perspective", *heads])
    rows = table.locator("tbody tr")
    expect(rows).to_have_count(7)
    for row, name in zip(rows.all(), found["frame"], strict=True):
        shares = [f"{int(100 * each['shares'][name] + 0.5)}% ({each['counts'][name]})" for each in measured]
        expect(row.get_by_role("rowheader")).to_have_text(name.replace("_", " "))
        expect(row.get_by_role("cell")).to_have_text(shares)
    assert sum(measured[0]["counts"].values()) > 5
    entropy = answer.get_by_role("region", name="Spread").get_by_role("row", name=re.compile("^entropy"))
    expect(entropy.get_by_role("cell").first).to_have_text(f"{measured[0]['entropy']:.1f}%")


@pytest.mark.parametrize("way", ["hover", "focus", "click"])
def test_pointing_at_a_reference_tells_why_it_counts(answer: Page, way: str) -> None:
    told = answer.locator("#why")
    expect(told).to_be_hidden()
    mark = answer.locator("#panel-multiplex mark", has_text="Ubuntu")
    getattr(mark, way)()
    expect(told).to_be_visible()
    expect(told).to_contain_text("african: “Ubuntu”")
    expect(told).to_contain_text("concept: an idea of this tradition")
    expect(told).to_contain_text("entity: ubuntu")
    expect(told).to_contain_text(f"source: {shipped_gazetteer().entities['ubuntu'].source}")
    expect(told).to_contain_text("Counts in the headline.")
    expect(mark).to_have_attribute("aria-describedby", "why")
    answer.keyboard.press("Escape")
    expect(told).to_be_hidden()
    assert mark.get_attribute("aria-describedby") is None


def test_what_is_told_of_a_reference_leaves_with_its_page(answer: Page) -> None:
    answer.get_by_role("link", name="Ask", exact=True).click()
    expect(answer.locator("#question")).to_be_visible()
    answer.go_back()
    ended(answer)
    answer.locator("#panel-multiplex mark", has_text="Ubuntu").click()
    expect(answer.locator("#why")).to_be_visible()
    answer.go_forward()
    expect(answer.locator("h1")).to_have_text("One question, several worldviews")
    expect(answer.locator("#why")).to_be_hidden()


# --- bad luck


def test_a_lost_voice_is_shown_and_named(house: House, visit: Visit) -> None:
    house.play.change(["islamic"], status=500)
    page = visit(house.served).open()
    ask(page)
    ended(page)
    lost = card(page, "islamic")
    expect(lost).to_have_attribute("data-state", "lost")
    expect(lost).to_contain_text("This voice was lost.")
    expect(lost).to_contain_text("scripted failure")
    expect(page.locator(".lost")).to_have_text("1 of 7 voices was lost: Islamic. The card says why.")
    expect(page.locator("#panel-multiplex")).to_contain_text("Islamic")  # the answer names it too
    expect(page.locator("details#voices > summary")).to_have_text("What the essay is made of: 6 voices")
    assert sorted(cards(page, "spoke")) == sorted(set(VOICES) - {"islamic"})


def test_where_all_voices_are_lost_the_page_says_so_and_goes_on(house: House, visit: Visit) -> None:
    house.play.change(VOICES, status=500)
    page = visit(house.served).open()
    ask(page)
    ended(page)
    titles = ", ".join(PERSONAS[name].title for name in cards(page, "lost"))
    assert len(cards(page, "lost")) == 7
    expect(page.locator(".lost")).to_have_text(
        f"All voices were lost ({titles}); each card says why. The page goes on: ask again, or ask something else."
    )
    expect(page.locator("#panel-multiplex .trouble")).to_contain_text("scripted failure")
    expect(page.locator("#panel-uniplex")).to_contain_text("Families decide by talking openly.")
    house.play.change(VOICES, status=200)
    ask(page, "And now?")
    ended(page)
    assert len(cards(page, "spoke")) == 7
    expect(page.locator("#panel-multiplex")).to_contain_text("Seven voices answer")


def test_a_backend_that_goes_in_the_middle_is_told_and_the_page_goes_on(house: House, visit: Visit) -> None:
    page = visit(house.served).open()
    left = [name for name in VOICES if name not in ("african", "western")]
    with house.play.holding([*left, "uniplex"]):
        ask(page)
        expect(page.locator("article.voice[data-state=spoke]")).to_have_count(2)
        house.play.change([*left, "uniplex"], cut_after=1)
        house.play.let()
    ended(page)
    assert sorted(cards(page, "lost")) == sorted(left)
    assert sorted(cards(page, "spoke")) == ["african", "western"]
    expect(page.locator("#panel-multiplex .trouble")).to_contain_text("5 of 7 voices lost, 5 must speak")
    expect(page.locator("#panel-uniplex .trouble")).to_be_visible()
    house.play.change([*left, "uniplex"], cut_after=None)
    ask(page, "And now?")
    ended(page)
    expect(page.locator("#panel-multiplex")).to_contain_text("Seven voices answer")
    expect(page.locator("#panel-uniplex")).to_contain_text("Families decide by talking openly.")


def test_a_cancelled_question_keeps_what_had_come_and_ends_its_calls(house: House, visit: Visit) -> None:
    late = [name for name in VOICES if name not in ("african", "western")]
    house.play.change(late, delay=60.0)
    before = house.backend.left
    page = visit(house.served).open()
    ask(page)
    expect(page.locator("article.voice[data-state=spoke]")).to_have_count(2)
    page.get_by_role("button", name="Cancel").click()
    ended(page)
    until(lambda: house.backend.left == before + 5, "five calls cut off")
    expect(page.locator("#panel-multiplex .trouble")).to_have_text("Cancelled before it was finished.")
    expect(page.locator("#panel-uniplex")).to_contain_text("Families decide by talking openly.")
    assert sorted(cards(page, "spoke")) == ["african", "western"]
    silent = ", ".join(PERSONAS[name].title for name in late)
    expect(page.locator(".lost")).to_have_text(f"The question ended before these voices had spoken: {silent}.")
    assert cards(page, "waiting") + cards(page, "speaking") == []  # no card waits for a voice that will not come
    house.play.change(late, delay=0.0)
    ask(page, "And now?")
    ended(page)
    assert len(cards(page, "spoke")) == 7


# --- coming back


def test_reloading_while_it_speaks_loses_nothing_and_asks_nothing_again(house: House, visit: Visit) -> None:
    page = visit(house.served).open()
    with house.play.holding([*VOICES, "synthesis"]):
        ask(page)
        house.play.let("african", "western")
        expect(page.locator("article.voice[data-state=spoke]")).to_have_count(2)
        page.reload()
        expect(page.locator("article.voice[data-state=spoke]")).to_have_count(2)
        expect(card(page, "african").locator(".said")).to_have_text(VOICES["african"])
        expect(page.locator("article.voice")).to_have_count(7)

        def long_ago(route: Route) -> None:
            reply = route.fetch()
            route.fulfill(response=reply, json={**reply.json(), "seconds": 3600})

        page.route("**/page/answers/*", long_ago, times=1)
        page.reload()
        expect(page.locator(".clock")).to_have_text(re.compile(r"^36\d\d s$"))
        house.play.let()
    ended(page)
    assert len(cards(page, "spoke")) == 7
    assert len(house.play.asked) == 9


def test_one_question_is_followed_in_two_tabs(house: House, visit: Visit) -> None:
    reader = visit(house.served)
    one = reader.open()
    with house.play.holding([*VOICES, "synthesis"]):
        ask(one)
        house.play.let("african")
        expect(one.locator("article.voice[data-state=spoke]")).to_have_count(1)
        other = reader.context.new_page()
        other.goto(one.url)
        expect(other.locator("article.voice[data-state=spoke]")).to_have_count(1)
        house.play.let()
    for page in (one, other):
        ended(page)
        expect(page.locator("#panel-multiplex")).to_contain_text("Seven voices answer")
    assert len(house.play.asked) == 9


def test_two_questions_are_asked_in_two_tabs_at_once(house: House, visit: Visit) -> None:
    reader = visit(house.served)
    tabs = {question: reader.open() for question in ("What is owed to the dead?", "Who owns a river?")}
    with house.play.holding(["synthesis"]):
        for question, page in tabs.items():
            ask(page, question)
        for page in tabs.values():
            expect(page.locator("article.voice[data-state=spoke]")).to_have_count(7)
        house.play.let()
    for question, page in tabs.items():
        ended(page)
        assert record(page)["question"] == question
    assert len(house.play.asked) == 18


def test_a_follow_up_keeps_the_thread(house: House, visit: Visit) -> None:
    first, second, third = "Who cares for a parent who grows old?", "And in Japan?", "And for a neighbour?"
    page = visit(house.served).open()
    ask(page, first)
    ended(page)
    begun = page.url
    house.backend.requests.clear()
    ask(page, second)
    ended(page)
    alone = next(asked(body) for body in house.backend.requests if part(body) == "alone")
    assert alone.index(first) < alone.index(SYNTHESIS) < alone.index(second)
    plain = next(body["messages"] for body in house.backend.requests if part(body) == "uniplex")
    assert [each["content"] for each in plain] == [first, UNIPLEX, second]
    expect(page.get_by_text(f"Put to the voices as: {ALONE}")).to_be_visible()
    thread = page.get_by_role("navigation", name="Earlier in this conversation").get_by_role("link")
    expect(thread).to_have_text([first])
    ask(page, third)
    ended(page)
    expect(thread).to_have_text([first, second])
    thread.first.click()
    expect(page).to_have_url(begun)
    expect(page.locator("h1")).to_have_text(first)


def test_each_download_opens(house: House, visit: Visit) -> None:
    page = visit(house.served).open()
    ask(page, f"Who cares? {HOSTILE}")
    ended(page)
    texts = {}
    for form, name in (("md", "Markdown"), ("html", "HTML"), ("json", "JSON, the full record")):
        with page.expect_download() as coming:
            page.get_by_role("link", name=name, exact=True).click()
        assert coming.value.suggested_filename == f"multiplex-{page.url.rpartition('/')[2]}.{form}"
        texts[form] = coming.value.path().read_text("utf-8")
    assert SYNTHESIS.splitlines()[0] in texts["md"]
    assert SYNTHESIS.splitlines()[0] in texts["html"]
    assert "<script" not in texts["html"]
    assert "&lt;script&gt;window.hacked" in texts["html"]
    assert json.loads(texts["json"])["answers"]["multiplex"]["text"] == SYNTHESIS
    assert len(json.loads(texts["json"])["answers"]["multiplex"]["voices"]) == 7


def test_this_browser_remembers_what_it_asked_until_told_to_forget(house: House, visit: Visit) -> None:
    reader = visit(house.served)
    page = reader.open()
    expect(page.locator("#question")).to_be_visible()
    history = page.get_by_role("region", name="Asked in this browser")
    expect(history).to_have_count(0)
    ask(page, "Who owns a river?")
    ended(page)
    page.get_by_role("link", name="Ask", exact=True).click()
    history.get_by_role("link", name="Who owns a river?").click()
    ended(page)
    expect(page.locator("h1")).to_have_text("Who owns a river?")
    page.go_back()
    history.get_by_role("button", name="Forget these").click()
    expect(history.get_by_role("link")).to_have_count(0)
    page.reload()
    expect(page.locator("#question")).to_be_visible()
    expect(history).to_have_count(0)


def test_who_asked_deletes_an_answer_with_the_keyboard_once_that_is_confirmed(house: House, visit: Visit) -> None:
    reader = visit(house.served)
    reader.expects.add("404")
    page = reader.open()
    ask(page, "Who owns a forest?")
    ended(page)
    path = page.url
    first = page.get_by_role("button", name="Delete this question and its answers")
    first.press("Enter")
    expect(page.get_by_role("button", name="Keep it")).to_be_focused()
    page.keyboard.press("Escape")
    expect(first).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Delete it for good").press("Enter")
    expect(page.get_by_role("heading", level=1, name="Deleted")).to_be_focused()
    page.get_by_role("link", name="Ask a question").click()
    expect(page.locator("#question")).to_be_visible()
    expect(page.get_by_role("link", name="Who owns a forest?")).to_have_count(0)
    page.goto(path)
    expect(page.get_by_role("alert")).to_have_text("This answer is not here.")


def test_a_slow_answer_does_not_replace_the_page_that_was_opened_meanwhile(house: House, visit: Visit) -> None:
    page = visit(house.served).open()
    ask(page)
    ended(page)
    kept: list[Route] = []
    page.route("**/page/answers/*", lambda route: kept.append(route))
    page.get_by_role("link", name="Ask", exact=True).click()
    expect(page.locator("h1")).to_have_text("One question, several worldviews")
    with page.expect_request("**/page/answers/*"):
        page.go_back()
    page.get_by_role("link", name="Ask", exact=True).click()
    expect(page.locator("#question")).to_be_visible()
    with page.expect_response("**/page/answers/*"):
        kept[0].continue_()
    page.locator("html").evaluate("() => fetch('/page/setup').then(reply => reply.json())")  # what came has been read
    expect(page.locator("h1")).to_have_text("One question, several worldviews")


def test_what_comes_after_the_page_was_left_follows_nothing(house: House, visit: Visit) -> None:
    reader = visit(house.served)
    reader.expects.add("503")
    page = reader.open()
    streams: list[Route] = []
    kept: list[Route] = []

    def refuse(route: Route) -> None:
        streams.append(route)
        route.fulfill(status=503)

    with house.play.holding(["synthesis"]):
        ask(page)
        page.route("**/page/answers/*/events", refuse)
        page.route("**/page/answers/*", lambda route: kept.append(route) if streams else route.continue_())
        with page.expect_request(lambda request: bool(streams) and not request.url.endswith("/events")):
            page.reload()
        page.get_by_role("link", name="Ask", exact=True).click()
        expect(page.locator("#question")).to_be_visible()
        with page.expect_response("**/page/answers/*"):
            kept[0].continue_()
        page.locator("html").evaluate(
            "() => fetch('/page/setup').then(reply => reply.json())"
        )  # what came has been read
        assert len(streams) == 1


def test_an_answer_that_cannot_be_had_at_once_is_asked_for_again(house: House, visit: Visit) -> None:
    reader = visit(house.served)
    reader.expects.add("net")
    page = reader.open()
    with house.play.holding(["synthesis"]):
        ask(page)
        expect(page.locator("article.voice[data-state=spoke]")).to_have_count(7)
        page.route("**/page/answers/*", lambda route: route.abort(), times=1)
        house.play.let()
        expect(page.locator(".now")).to_contain_text("The server cannot be reached.")
    ended(page)


def test_a_question_whose_id_never_came_is_sent_again_and_asked_once(house: House, visit: Visit) -> None:
    reader = visit(house.served)
    reader.expects.add("net")
    page = reader.open()

    def lose(route: Route) -> None:
        route.fetch()
        route.abort()

    page.route("**/page/answers", lose, times=1)
    with page.expect_response("**/page/estimate"):  # of nothing yet
        page.goto(house.served.url)
    with page.expect_request("**/page/estimate"):  # of what was written, a moment after it was sent
        page.locator("#question").fill("Who owns a river?")
        page.locator("#question").press("Control+Enter")
        expect(page.locator("#told")).to_contain_text("The server cannot be reached.")
    expect(page.locator("#told")).to_contain_text("The server cannot be reached.")
    page.locator("#ask").click()  # the field is left, and has not been changed
    ended(page)
    assert len(house.play.asked) == 9
    ask(page, "Who owns a river?")  # again on purpose
    ended(page)
    assert len(house.play.asked) > 9


# --- bad input


def test_script_is_shown_as_text_wherever_it_comes_from(house: House, visit: Visit) -> None:
    house.play.change(["african", "synthesis", "uniplex"], text=f"Ubuntu. {HOSTILE}")
    house.play.change(["islamic"], status=500, error={"message": HOSTILE})
    page = visit(house.served).open()
    with house.play.holding(["synthesis"]):
        ask(page, HOSTILE)
        expect(card(page, "african").locator(".said")).to_have_text(f"Ubuntu. {HOSTILE}")
        unharmed(page)
        house.play.let()
    ended(page)
    for strategy in ("multiplex", "uniplex"):
        shown = page.locator(f"#panel-{strategy} .prose")
        assert HOSTILE in shown.evaluate(
            "e => { e = e.cloneNode(true); e.querySelectorAll('.code').forEach(c => c.remove()); return e.textContent }"
        )
    expect(card(page, "islamic")).to_contain_text("<script>window.hacked=1</script>")
    unharmed(page)
    ask(page, "And now?")
    ended(page)
    expect(page.locator("nav.thread")).to_contain_text(HOSTILE)
    page.get_by_role("link", name="Ask", exact=True).click()
    expect(page.locator(".history")).to_contain_text("<script>window.hacked=1</script>")
    unharmed(page)


def unharmed(page: Page) -> None:
    """Nothing of a foreign text has become an element or has run."""
    expect(page.locator("main script, main img, main iframe, main [onerror]")).to_have_count(0)
    expect(page.locator("main a:not([href^='/'])")).to_have_count(0)
    assert page.locator("html").evaluate("() => window.hacked ?? null") is None


def test_a_question_that_is_too_long_is_not_sent(house: House, visit: Visit) -> None:
    page = visit(house.served).open()
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    expect(page.locator("#estimate")).not_to_be_empty()
    sent.clear()
    page.locator("#question").fill("x" * 20_001)
    told = "The question has 20,001 characters; this model takes at most 20,000. Shorten it."
    expect(page.locator("#told")).to_have_text(told)
    page.locator("#ask").click()
    expect(page.locator("#question")).to_be_focused()
    assert sent == []
    assert house.backend.requests == []
    page.locator("#question").fill("x" * 20_000)
    expect(page.locator("#told")).to_be_empty()
    page.locator("#ask").click()
    ended(page)
    assert all("x" * 20_000 in asked(body) for body in house.backend.requests)
    assert not overflows(page)


@pytest.mark.parametrize("text", ["完。", "تم؟", "पूरा।", "Done!", "Said “so.”"])
def test_a_sentence_that_ends_gets_no_second_end(house: House, visit: Visit, text: str) -> None:
    page = visit(house.served).open()
    told = "text => import('/static/api.js').then(api => api.sentence(text))"
    assert page.evaluate(told, text) == text
    assert page.evaluate(told, "not here (yet)") == "Not here (yet)."


def test_space_around_a_question_does_not_count(house: House, visit: Visit) -> None:
    page = visit(house.served).open()
    ask(page, "x" * 20_000 + "\n \n")
    ended(page)


def test_an_empty_question_is_not_sent(house: House, visit: Visit) -> None:
    page = visit(house.served).open()
    page.locator("#question").fill("  \n")
    page.locator("#ask").click()
    expect(page.locator("#told")).to_have_text("Write a question first.")
    assert house.backend.requests == []


def test_an_answer_that_is_not_here_is_told(house: House, visit: Visit) -> None:
    reader = visit(house.served)
    reader.expects.add("404")
    page = reader.open("/answers/nothing")
    expect(page.get_by_role("alert")).to_have_text("This answer is not here.")
    page.get_by_role("link", name="Ask a question").click()
    expect(page.locator("#question")).to_be_visible()


# --- keys, hands and eyes


def test_everything_can_be_done_with_the_keyboard(house: House, visit: Visit) -> None:
    page = visit(house.served, viewport={"width": 360, "height": 740}).open()
    expect(page.locator("#question")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="To the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator("#question")).to_be_focused()
    page.keyboard.type("Who owns a river?")
    page.keyboard.press("Control+Enter")
    ended(page)
    tabs = {name: page.get_by_role("tab", name=name) for name in ("multiplex", "uniplex")}
    for key, chosen, other in (("ArrowRight", "uniplex", "multiplex"), ("ArrowLeft", "multiplex", "uniplex")):
        tabs[other].focus()
        page.keyboard.press(key)
        expect(tabs[chosen]).to_be_focused()
        expect(tabs[chosen]).to_have_attribute("aria-selected", "true")
        expect(page.get_by_role("tabpanel", name=chosen)).to_be_visible()
        expect(page.locator(f"#panel-{other}")).to_be_hidden()
    page.keyboard.press("Tab")
    expect(page.locator("#panel-multiplex mark").first).to_be_focused()
    expect(page.locator("#why")).to_be_visible()
    page.keyboard.press("Enter")  # pins it
    expect(page.locator("#why")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#why")).to_be_hidden()


def test_the_way_to_the_content_keeps_what_was_written(house: House, visit: Visit) -> None:
    page = visit(house.served).open()
    page.locator("#question").fill("Who owns a river?")
    page.get_by_role("link", name="To the content").focus()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    expect(page.locator("#question")).to_have_value("Who owns a river?")


def test_pressing_twice_asks_once(house: House, visit: Visit) -> None:
    page = visit(house.served).open()
    page.locator("#question").fill("Who owns a river?")
    page.locator("#question").evaluate("""field => { for (const _ of [1, 2])
        field.dispatchEvent(new KeyboardEvent("keydown", {key: "Enter", ctrlKey: true, bubbles: true})) }""")
    ended(page)
    assert len(house.play.asked) == 9


def test_the_tab_that_is_read_on_a_phone_stays_chosen_when_the_answer_is_whole(house: House, visit: Visit) -> None:
    page = visit(house.served, viewport={"width": 360, "height": 740}).open()
    with house.play.holding(["synthesis"]):
        ask(page)
        page.get_by_role("tab", name="uniplex").click()
        expect(page.locator("#panel-uniplex")).to_contain_text("Families decide")
        house.play.let()
    ended(page)
    expect(page.get_by_role("tab", name="uniplex")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#panel-uniplex")).to_be_visible()


LOOKS = (("light", 360), ("dark", 1440))
OTHER_LOOKS = (("dark", 360), ("light", 1440))
LONG = "Donaudampfschifffahrt" * 15
RTL = "يقول ابن خلدون إن العصبية أساس العمران، و Ubuntu asks that kin share care."
WIDE = f"{RTL}\n\n{LONG}\n\n```\n{'code ' * 60}\n```\n\n| {LONG} | {LONG} |\n| --- | --- |\n| Ubuntu | 2 |\n"


def flaws(page: Page, looks: Iterable[tuple[str, int]] = LOOKS) -> dict[str, dict[str, list[str]]]:
    """What is serious or critical to axe-core in light and dark, on a phone and on a desk."""
    found = {}
    for scheme, width in looks:
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of its two words
        if wrong := serious(page):
            found[f"{scheme} {width}"] = wrong
    return found


def wide(page: Page) -> list[int]:
    """The widths of a window in which the document is wider than it."""
    found = []
    for width in (360, 768, 1440):
        page.set_viewport_size({"width": width, "height": 800})
        if overflows(page):
            found.append(width)
    return found


def test_axe_finds_nothing_serious_where_a_question_is_asked(house: House, visit: Visit) -> None:
    page = visit(house.served, bypass_csp=True).open()
    ask(page)
    page.get_by_role("link", name="Ask", exact=True).click()  # so that there is a history too
    expect(page.locator("#estimate")).not_to_be_empty()
    assert flaws(page) == {}
    page.locator("#question").fill("x" * 20_001)
    expect(page.locator("#told")).not_to_be_empty()
    assert flaws(page, LOOKS[:1]) == {}


def test_axe_finds_nothing_serious_while_voices_speak(house: House, visit: Visit) -> None:
    house.play.change(["uniplex"], text=WIDE, pace=0.05)
    house.play.change(["western"], status=500)
    page = visit(house.served, bypass_csp=True).open()
    with house.play.holding([*VOICES, "synthesis"]):
        ask(page)
        house.play.let("african", "western")
        expect(page.locator("article.voice[data-state=lost]")).to_have_count(1)
        expect(page.locator("article.voice[data-state=spoke]")).to_have_count(1)
        expect(page.locator("#panel-uniplex")).to_contain_text(LONG)
        assert flaws(page, OTHER_LOOKS) == {}


def test_axe_finds_nothing_serious_in_an_answer(house: House, visit: Visit) -> None:
    house.play.change(["synthesis"], text=f"{FULL}\n\n{WIDE}")
    house.play.change(["western"], status=500)
    page = visit(house.served, bypass_csp=True).open()
    ask(page, f"What do Muslims and others owe a parent? {'And why? ' * 60}")
    ended(page)
    for summary in page.locator("main summary").all():
        summary.click()
    page.locator("#panel-multiplex mark").first.click()
    expect(page.locator("#why")).to_be_visible()
    assert flaws(page) == {}


def test_axe_finds_nothing_serious_in_benchmark_runs(house: House, visit: Visit) -> None:
    page = visit(house.served, bypass_csp=True).open("/runs")
    expect(page.get_by_role("table")).to_be_visible()
    assert flaws(page) == {}
    page.get_by_role("link", name="a run", exact=True).click()
    expect(page.get_by_role("link", name="What of Religious 1?").first).to_be_visible()
    assert flaws(page) == {}
    page.get_by_role("link", name="What of Religious 1?").first.click()
    page.locator(".runs-folded summary").first.click()
    expect(page.locator("article.voice").first).to_be_visible()
    assert flaws(page) == {}


def test_long_words_and_scripts_from_the_right_fit_every_width(house: House, visit: Visit) -> None:
    assert len(LONG) > 300
    house.play.change(["synthesis", "uniplex", "african"], text=WIDE)
    house.play.change(["western"], status=500, error={"message": LONG})
    page = visit(house.served).open()
    expect(page.locator("#estimate")).not_to_be_empty()
    assert wide(page) == []
    with house.play.holding(["synthesis"]):
        ask(page, f"{RTL} {LONG}")
        expect(card(page, "african")).to_contain_text(LONG)
        expect(card(page, "western")).to_contain_text(LONG[:150])
        assert wide(page) == []
        house.play.let()
    ended(page)
    for each in (
        page.locator("h1"),
        page.locator("#panel-multiplex .prose p").first,
        card(page, "african").locator("p[dir]").nth(0),
    ):
        assert each.evaluate("e => getComputedStyle(e).direction") == "rtl"
    assert wide(page) == []
    for summary in page.locator("main summary").all():
        summary.click()
    assert wide(page) == []


# --- benchmark runs


def test_a_report_opens_in_a_tab_of_its_own(house: House, visit: Visit) -> None:
    reader = visit(house.served)
    page = reader.open()
    page.get_by_role("link", name="Benchmark runs").click()
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name="a run", exact=True))
    expect(row).to_contain_text("46 done")
    with reader.context.expect_page() as coming:
        row.get_by_role("link", name="Report of a run, in a new tab").click()
    report = coming.value
    expect(report).to_have_title(re.compile("A run"))
    expect(report.locator("svg").first).to_be_visible()
    assert report.locator("body").evaluate("e => getComputedStyle(e).maxWidth") != "none"  # its own style holds
    expect(page).to_have_url(re.compile("/runs$"))


def test_a_unit_opens_with_its_references_coloured(house: House, visit: Visit) -> None:
    page = visit(house.served).open("/runs")
    page.get_by_role("link", name="a run", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("48 units found.")
    page.get_by_label("Words of the question").fill("HISTORY 2")
    expect(page.get_by_role("status")).to_contain_text("8 units found.")
    page.get_by_label("Model").select_option("small")
    page.get_by_label("Strategy").select_option("multiplex")
    expect(page.get_by_role("status")).to_contain_text("1 unit found.")
    page.get_by_role("link", name="What of History 2?").click()
    expect(page.locator(".prose mark", has_text="Ubuntu")).to_be_visible()
    found = synthetic.measured(synthetic.WIDE).model_dump(mode="json")["references"]
    assert marks(page, "main") == stretches({"text": synthetic.WIDE, "measures": {"found": found}})
    page.locator(".prose mark", has_text="Ubuntu").hover()
    expect(page.locator("#why")).to_contain_text("african: “Ubuntu”")
    page.keyboard.press("Escape")
    page.locator(".runs-folded summary").click()
    expect(page.locator("article.voice")).to_have_count(2)
    unharmed(page)
    page.locator(".runs-back a").click()
    expect(page.get_by_role("status")).to_contain_text("1 unit found.")


def test_a_unit_with_hostile_text_is_shown_as_text(house: House, visit: Visit) -> None:
    page = visit(house.served).open("/runs/a%20run")
    page.get_by_role("row", name=re.compile("failed")).get_by_role("link").click()
    expect(page.get_by_role("heading", name="What failed")).to_be_visible()
    expect(page.locator("main")).to_contain_text("<script>alert('owned')</script>")
    unharmed(page)


def test_a_run_or_unit_that_is_not_here_is_told(house: House, visit: Visit) -> None:
    reader = visit(house.served)
    reader.expects.add("404")
    page = reader.open("/runs/none")
    expect(page.get_by_role("alert")).to_contain_text("No run 'none' here; the list of runs shows what is there.")
    page.goto(f"{house.served.url}/runs/a%20run/none")
    expect(page.get_by_role("alert")).to_contain_text("No unit 'none' in run 'a run'.")


# --- servers of their own: with keys, stopped, begun again


def test_a_server_with_keys_asks_for_one(backend: Backend, folder: Path, visit: Visit) -> None:
    keys = {"MULTIPLEX_API_KEYS": "one-key-of-a-browser,other-key-of-a-browser"}
    with serving(backend, "--ui", "--runs", str(folder), env=keys) as served:
        reader = visit(served)
        reader.expects.add("401")
        page = reader.open("/runs")
        expect(page.get_by_role("heading", level=1)).to_have_text("This server asks for a key")
        page.get_by_label("Key").fill("a wrong one")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_have_text("Wrong key.")
        page.get_by_label("Key").fill("other-key-of-a-browser")
        page.get_by_role("button", name="Open").click()
        with reader.context.expect_page() as coming:
            page.get_by_role("link", name="Report of a run, in a new tab").click()
        expect(coming.value).to_have_title(re.compile("A run"))
        page.reload()
        expect(page.get_by_role("table")).to_be_visible()  # asked once
        reader.context.clear_cookies()
        page.get_by_role("link", name="a run", exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_have_text("This server asks for a key")
        assert "other-key-of-a-browser" not in json.dumps(reader.context.cookies()) + "".join(served.errors)


def test_a_session_that_ended_takes_neither_the_question_nor_the_key_that_is_being_written(
    backend: Backend, visit: Visit
) -> None:
    with serving(backend, "--ui", env={"MULTIPLEX_API_KEYS": "one-key-of-a-browser"}) as served:
        reader = visit(served)
        reader.expects.add("401")
        page, key = reader.open(), "one-key-of-a-browser"
        page.get_by_label("Key").fill(key)
        page.keyboard.press("Enter")
        page.locator("#question").fill("A question that took an hour to write")
        page.get_by_label("Options, if it is a closed question").fill("agree | disagree")
        reader.context.clear_cookies()
        page.locator("#ask").click()
        page.get_by_label("Key").fill(key)
        page.locator("html").evaluate("() => { document.dispatchEvent(new Event('locked')) }")  # as a late 401 does
        expect(page.get_by_label("Key")).to_have_value(key)
        page.get_by_role("button", name="Open").click()
        expect(page.locator("#question")).to_have_value("A question that took an hour to write")
        expect(page.get_by_label("Options, if it is a closed question")).to_have_value("agree | disagree")


def test_a_reader_with_another_key_is_offered_nothing_that_would_be_refused(backend: Backend, visit: Visit) -> None:
    play = backend.script = Play()
    with serving(backend, "--ui", env={"MULTIPLEX_API_KEYS": "one-key-of-a-browser,other-key-of-a-browser"}) as served:
        pages = []
        for key in ("one-key-of-a-browser", "other-key-of-a-browser"):
            reader = visit(served)
            reader.expects.add("401")
            pages.append(reader.open())
            pages[-1].get_by_label("Key").fill(key)
            pages[-1].keyboard.press("Enter")
            expect(pages[-1].locator("#question")).to_be_visible()
        mine, other = pages
        with play.holding(["synthesis"]):
            ask(mine)
            other.goto(mine.url)
            expect(other.locator("article.voice[data-state=spoke]")).to_have_count(7)
            expect(mine.get_by_role("button", name="Cancel")).to_be_visible()
            expect(other.get_by_role("button", name="Cancel")).to_have_count(0)
        for page in pages:
            ended(page)
        expect(mine.locator("#question")).to_be_visible()
        expect(other.locator("#question")).to_have_count(0)
        expect(other.get_by_role("region", name="Ask on")).to_contain_text("Only the key that began this conversation")


def test_a_server_that_dies_while_it_speaks_is_told_and_so_is_what_it_forgot(visit: Visit) -> None:
    play = Play()
    with running() as backend, play.holding(set(VOICES) - {"african"}):
        backend.script = play
        with serving(backend, "--ui") as served:
            reader = visit(served)
            reader.expects |= {"404", "net"}
            page, other = reader.open(), reader.open()
            expect(other.locator("#question")).to_be_visible()
            ask(page)
            expect(page.locator("article.voice[data-state=spoke]")).to_have_count(1)
            served.process.kill()
            served.process.wait()
            expect(page.locator(".now")).to_contain_text("The connection broke; trying again.")
            expect(card(page, "african")).to_contain_text("Ubuntu")
            other.locator("#question").fill("Who owns a river?")
            other.locator("#ask").click()
            expect(other.locator("#told")).to_have_text(
                "The server cannot be reached. Is it still running? Try again in a moment."
            )
        with serving(backend, "--ui", port=int(served.url.rpartition(":")[2])):
            expect(page.get_by_role("alert")).to_have_text(
                "This answer is not here "
                "(this server keeps its last 200 answers until it stops; --memory keeps them all)."
            )
            page.get_by_role("link", name="Ask again").click()
            expect(page.locator("#question")).to_be_visible()
            play.let()


def test_an_answer_outlives_its_server(house: House, visit: Visit) -> None:
    reader = visit(house.served)
    reader.expects.add("net")
    page, other = reader.open(), reader.open()
    ask(page)
    ended(page)
    shown = page.locator("#panel-multiplex").inner_text(), marks(page, "#panel-multiplex"), cards(page)
    with house.play.holding(["synthesis"]):
        ask(other, "Who owns a river?")
        expect(other.locator("article.voice[data-state=spoke]")).to_have_count(7)
        house.served.process.terminate()
        until(lambda: not reachable(house.served), "the server to take no more")
        page.locator("#question").fill("And now?")
        page.locator("#ask").click()
        expect(page.locator("#told")).to_have_text(
            "The server cannot be reached. Is it still running? Try again in a moment."
        )
        house.play.let()
        house.served.process.wait()
    expect(other.locator(".now")).to_contain_text("The server cannot be reached.")
    house.begin_again()
    page.reload()
    ended(page)
    assert (page.locator("#panel-multiplex").inner_text(), marks(page, "#panel-multiplex"), cards(page)) == shown
    assert record(page)["answers"]["multiplex"]["text"] == SYNTHESIS
    other.reload()  # what was under way had its time
    ended(other)
    expect(other.locator("#panel-multiplex")).to_contain_text("Seven voices answer")


def reachable(served: Served) -> bool:
    try:
        return httpx.get(f"{served.url}/healthz").is_success
    except httpx.TransportError:
        return False
