"""The page of `multiplex serve --ui` in a headless Chromium: how soon it is there, what it loads, how soon voices show.

    python benchmarks/page.py
    python benchmarks/page.py --gradio VENV/bin/python    # beside a Gradio page that makes the same calls

A loopback backend of its own process streams 150 words a call over `TALK` seconds, one perspective after the other, and
notes when each reply was whole. Loads are cold: a fresh browser context each. The Gradio page is a minimal one, mounted
in FastAPI, with system fonts: seven cards and an answer, nothing measured.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from loopback import Connection, Replies

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).parents[1]
MODEL = "loopback"
WORDS = 150  # of a reply
STEP = 0.3  # seconds that each perspective begins later than the one before it
TALK = 1.5  # seconds from the first word of a reply to its last
SLICES = 75  # in which a stream is sent
KNOWN = 60  # characters of a system prompt by which its perspective is known
SOON = 0.3  # seconds in which a card should be there
PATIENCE = 120_000  # milliseconds: the first question loads the extractor
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update")  # fmt: skip
FOREIGN = ("MULTIPLEX_", "OPENAI_", "OLLAMA_", "XDG_CONFIG_HOME")  # settings of the person who runs this

Item = dict[str, Any]  # what a council sends about one question: voices by perspective, and the synthesis


# --- the backend, run in its own process as `page.py --serve backend`


class Speaker(Connection):
    """One connection: a reply is streamed slice by slice, or sent whole when its stream would have ended."""

    def __init__(self, replies: Replies, ranks: dict[str, int], ended: list[tuple[str, float]]) -> None:
        super().__init__(replies)
        self.ranks, self.ended = ranks, ended

    def answer(self, request: bytes, body: bytes) -> None:
        """Tell what ended since it was last asked, or speak."""
        if b"/chat/completions" not in request:
            told = json.dumps(self.ended).encode()
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(told), told))
            self.ended.clear()
            return
        asked = json.loads(body)
        who = str(asked["messages"][0]["content"])[:KNOWN]
        begins, reply, loop = STEP * self.ranks.get(who, 0), self.replies.to(body), asyncio.get_running_loop()
        slices = SLICES if asked.get("stream") else 1
        size = -(-len(reply) // slices)
        for i in range(slices):
            last = i == slices - 1
            loop.call_later(begins + TALK * (i + 1) / slices, self.send, reply[i * size : (i + 1) * size], who, last)

    def send(self, data: bytes, who: str, last: bool) -> None:
        """Send one slice; the last ends the reply."""
        if not self.transport.is_closing():
            self.transport.write(data)
            if last and who in self.ranks:
                self.ended.append((who, 1000 * time.time()))


async def backend(_: str, item: Item) -> None:
    """Print the address and serve until the process is ended."""
    ranks = {_known(messages): i for i, messages in enumerate(item["voices"].values())}
    ended: list[tuple[str, float]] = []
    replies = Replies(0, WORDS)
    server = await asyncio.get_running_loop().create_server(lambda: Speaker(replies, ranks, ended), "127.0.0.1", 0)
    print(f"serving http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await server.serve_forever()


def _known(messages: Sequence[dict[str, str]]) -> str:
    return messages[0]["content"][:KNOWN]


# --- the Gradio page, run in its own process as `page.py --serve gradio`


async def gradio(url: str, item: Item) -> None:
    """The same calls behind a Gradio page; a card is filled when its voice has ended."""
    import gradio as gr  # type: ignore[import-not-found,unused-ignore]
    import httpx
    import uvicorn
    from fastapi import FastAPI

    client, names = httpx.AsyncClient(base_url=url, timeout=600), list(item["voices"])

    async def said(messages: Any) -> str:
        reply = await client.post("/chat/completions", json={"model": MODEL, "messages": messages})
        return cast(str, reply.json()["choices"][0]["message"]["content"])

    async def voice(i: int) -> tuple[int, str]:
        return i, await said(item["voices"][names[i]])

    async def ask(_: str) -> AsyncIterator[list[str]]:
        shown = [""] * (len(names) + 1)
        for each in asyncio.as_completed([voice(i) for i in range(len(names))]):
            i, text = await each
            shown[i] = f"### {names[i]}\n{text}"
            yield [*shown]
        shown[-1] = await said(item["synthesis"])
        yield [*shown]

    with gr.Blocks(title="Council", analytics_enabled=False) as blocks:
        gr.Markdown("# Ask the council")
        question = gr.Textbox(label="Question", lines=3, elem_id="question")
        gr.Examples([[item["question"]]], [question])
        button = gr.Button("Ask", elem_id="ask")
        with gr.Row():
            cards = [gr.Markdown(container=True, elem_id=f"voice-{name}") for name in names]
        answer = gr.Markdown(elem_id="answer")
        button.click(ask, [question], [*cards, answer])
    theme = gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
    app = gr.mount_gradio_app(FastAPI(), blocks, path="/", theme=theme, footer_links=[])
    server = uvicorn.Config(app, port=0, log_config=None, access_log=False)
    sock = server.bind_socket()
    print(f"serving http://127.0.0.1:{sock.getsockname()[1]}/v1", flush=True)
    await uvicorn.Server(server).serve([sock])


SERVERS = {"backend": backend, "gradio": gradio}


# --- the processes


@contextmanager
def started(command: Sequence[str], env: dict[str, str] | None = None) -> Iterator[str]:
    """A server in a process of its own, gone when the block ends: its address, once it listens.

    Raises:
        SystemExit: it printed no address.
    """
    with (
        tempfile.TemporaryFile("w+") as told,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=told, text=True, env=env) as process,
    ):
        try:
            said = cast(IO[str], process.stdout).readline()
            if "http://" not in said:
                process.wait(10)
                told.seek(0)
                raise SystemExit(f"`{' '.join(command)}` does not serve: {said}{told.read()[-1000:]}")
            yield "http://" + said.split("http://")[1].split("/")[0]
        finally:
            process.terminate()


def ours(url: str) -> list[str]:
    """The command that serves our page."""
    start = "from multiplex.cli.main import main; main()"
    return [sys.executable, "-c", start, "serve", "--ui", "--model", MODEL, "--base-url", f"{url}/v1", "--port", "0"]


def workload(questions: int) -> list[Item]:
    """What our council would send about the first questions of the set, voices by perspective.

    Raises:
        SystemExit: the backend could not tell two voices by their prompts.
    """
    from bench import workload as items

    from multiplex.council.personas import Council

    names = [persona.perspective for persona in Council.load().personas]
    made = [{**item, "voices": dict(zip(names, item["voices"], strict=True))} for item in items(questions)]
    if len(set(map(_known, made[0]["voices"].values()))) < len(names):
        raise SystemExit(f"two personas begin with the same {KNOWN} characters; raise KNOWN")
    return made


# --- the browser


@dataclass(frozen=True)
class Place:
    """How a page is used: selectors of its parts, and of a voice's finished card ({} is the perspective)."""

    question: str
    ask: str
    card: str
    answer: str
    sign: str = ""  # text that a finished card and answer hold


OURS = Place(
    "textarea#question", "button#ask", "article.voice[data-perspective={}][data-state=spoke]",
    "section#answer[data-state=ended]",
)  # fmt: skip
GRADIO = Place("#question textarea", "#ask", "#voice-{} .prose", "#answer .prose", "elders")

WATCH = """([cards, sign]) => {
  window.came = {};
  const look = () => {
    for (const [name, selector] of Object.entries(cards)) {
      if (!(name in came) && document.querySelector(selector)?.textContent.includes(sign)) came[name] = Date.now();
    }
  };
  new MutationObserver(look).observe(document, {subtree: true, childList: true, characterData: true, attributes: true});
}"""
PAINTED = """() => new Promise((told) => new PerformanceObserver((list) => {
  for (const each of list.getEntries()) if (each.name === "first-contentful-paint") told(each.startTime);
}).observe({type: "paint", buffered: true}))"""


@dataclass(frozen=True)
class Load:
    """One cold load: seconds to the first contentful paint and to the question box, bytes over the wire, requests."""

    paint: float
    usable: float
    bytes: int
    requests: int
    foreign: frozenset[str]


@dataclass(frozen=True)
class Looked:
    """What was seen of one page; `late` are seconds from the end of a voice's reply to its card."""

    loads: list[Load]
    late: list[float]


def load(browser: Browser, url: str, place: Place) -> Load:
    """Open a page in a fresh context."""
    context = browser.new_context()
    page = context.new_page()
    wire = context.new_cdp_session(page)
    wire.send("Network.enable")
    asked, sizes = list[str](), list[int]()
    wire.on("Network.requestWillBeSent", lambda event: asked.append(event["request"]["url"]))
    wire.on("Network.loadingFinished", lambda event: sizes.append(int(event["encodedDataLength"])))
    page.goto(url)
    page.wait_for_selector(place.question)
    usable = page.evaluate("() => performance.now()") / 1000
    paint = page.evaluate(PAINTED) / 1000
    page.wait_for_load_state("networkidle")
    context.close()
    hosts = (urlsplit(each) for each in asked)
    foreign = frozenset(each.netloc for each in hosts if each.scheme != "data" and each.netloc != urlsplit(url).netloc)
    return Load(paint, usable, sum(sizes), len(asked), foreign)


def late(browser: Browser, url: str, place: Place, spoken: str, items: Sequence[Item]) -> list[float]:
    """Ask each question; seconds from the end of each voice's reply to its card, the first question left out.

    Raises:
        SystemExit: a voice that the backend spoke has no card.
    """
    context, found = browser.new_context(), list[float]()
    for number, item in enumerate(items):
        page = context.new_page()
        page.goto(url)
        page.fill(place.question, item["question"])
        page.evaluate(WATCH, [{name: place.card.format(name) for name in item["voices"]}, place.sign])
        _ended(spoken)
        page.click(place.ask)
        page.locator(place.answer, has_text=place.sign).first.wait_for(timeout=PATIENCE)
        came, ended = page.evaluate("() => window.came"), _ended(spoken)
        page.close()
        for name, messages in item["voices"].items():
            if name not in came or _known(messages) not in ended:
                raise SystemExit(
                    f"question {number + 1}: {name} spoke {_known(messages) in ended}, shown {name in came}"
                )
            if number:
                found.append((came[name] - ended[_known(messages)]) / 1000)
    context.close()
    return found


def _ended(url: str) -> dict[str, float]:
    """When replies ended since this was last asked: Unix milliseconds by the beginning of the prompt."""
    connection = HTTPConnection(urlsplit(url).netloc, timeout=30)
    try:
        connection.request("GET", "/ended")
        return dict(json.load(connection.getresponse()))
    finally:
        connection.close()


# --- the table


def figures(looked: Looked) -> dict[str, tuple[float, str]]:
    """By name, each figure and how it is written."""
    paints, usable = [each.paint for each in looked.loads], [each.usable for each in looked.loads]
    return {
        "first contentful paint, median s": _written(statistics.median(paints), "{:.2f}"),
        "worst s": _written(max(paints), "{:.2f}"),
        "question box there, median s": _written(statistics.median(usable), "{:.2f}"),
        "transferred, kB": _written(max(each.bytes for each in looked.loads) / 1000, "{:.0f}"),
        "requests": _written(max(each.requests for each in looked.loads), "{:.0f}"),
        "other hosts asked": _written(len(frozenset().union(*(each.foreign for each in looked.loads))), "{:.0f}"),
        "card after its voice's end, median s": _written(statistics.median(looked.late), "{:.3f}"),
        "card after its voice's end, worst s": _written(max(looked.late), "{:.3f}"),
        f"cards within {SOON} s, %": _written(100 * statistics.mean(each <= SOON for each in looked.late), "{:.0f}"),
    }


def _written(value: float, form: str) -> tuple[float, str]:
    return value, form.format(value)


def table(pages: dict[str, Looked]) -> str:
    """The pages beside each other, the others with their ratio to ours."""
    columns = {name: figures(looked) for name, looked in pages.items()}
    mine, *others = columns.values()
    rows = [["", *columns], ["---", *("---:" for _ in columns)]]
    for name, (value, text) in mine.items():
        beside = [f"{other[name][1]} ({other[name][0] / value:.1f}x)" if value else other[name][1] for other in others]
        rows.append([name, text, *beside])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def compare(given: argparse.Namespace) -> None:
    """Look at every page in turn and print the table."""
    from playwright.sync_api import sync_playwright

    executable = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if executable is None:
        raise SystemExit(f"no browser to look with: none of {', '.join(BROWSERS)} is installed")
    items = workload(given.questions)
    env = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    env |= {"XDG_CONFIG_HOME": os.devnull, "GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"}
    pages: dict[str, Looked] = {}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        item = Path(folder) / "item.json"
        item.write_text(json.dumps(items[0]))
        this = [__file__, "--item", str(item), "--serve"]
        browser = playwright.chromium.launch(executable_path=executable, args=list(QUIET))
        with started([sys.executable, *this, "backend"]) as spoken:
            ways = {"`multiplex serve --ui`": (ours(spoken), OURS)}
            if given.gradio:
                ways["Gradio"] = ([given.gradio, *this, "gradio", "--url", f"{spoken}/v1"], GRADIO)
            for name, (command, place) in ways.items():
                with started(command, env) as url:
                    loads = [load(browser, url, place) for _ in range(given.loads + 1)][1:]  # the first warms up
                    pages[name] = Looked(loads, late(browser, url, place, spoken, items))
        browser.close()
    print(
        f"{given.loads} cold loads, {len(items) - 1} x {len(items[0]['voices'])} voices after a question not counted.\n"
    )
    print(table(pages))


def main() -> None:
    """Read the flags; look, or be one of the servers."""
    flags = argparse.ArgumentParser(description="the page of `multiplex serve --ui` in a browser")
    flags.add_argument("--loads", type=int, default=10, help="cold loads of each page")
    flags.add_argument("--questions", type=int, default=4, help="asked; the first is not counted")
    flags.add_argument("--gradio", nargs="?", const=sys.executable, help="a Python with gradio; this one by default")
    for name in ("--serve", "--url", "--item"):
        flags.add_argument(name, help=argparse.SUPPRESS)
    given = flags.parse_args()
    if given.serve is None:
        compare(given)
        return
    with suppress(KeyboardInterrupt):
        asyncio.run(SERVERS[given.serve](given.url, json.loads(Path(given.item).read_text())))


if __name__ == "__main__":
    main()
