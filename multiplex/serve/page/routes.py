"""The paths of the page. Everything that it loads comes from here, and nothing in it may run but its own scripts."""

from __future__ import annotations

import asyncio
import mimetypes
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from pydantic import BaseModel, ConfigDict
from starlette.responses import FileResponse, HTMLResponse
from starlette.staticfiles import StaticFiles

from multiplex.present.document import as_html, as_markdown
from multiplex.present.result import as_record
from multiplex.serve.http.sse import EventStream
from multiplex.serve.openai.schema import ApiError
from multiplex.serve.page import bench_runs
from multiplex.serve.page.backend import Page, PageQuestion
from multiplex.serve.page.cookies import Sessions
from multiplex.serve.page.setup import colours, setup
from multiplex.serve.service import Caller

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from multiplex.answering import Result

STATIC = Path(__file__).with_name("static")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; sandbox"
_SAFE = {
    b"content-security-policy": POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
    b"cache-control": b"private, no-cache",  # scripts of an older version would not fit what they are sent
}
_FORMS: dict[str, tuple[str, Callable[[Result], str]]] = {
    "md": ("text/markdown", lambda result: as_markdown(result, show_voices=True)),
    "html": ("text/html", lambda result: as_html(result, show_voices=True)),
    "json": ("application/json", as_record),
}


class SessionKey(BaseModel):
    """What the page sends to begin a session."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
    key: str


class Safe:
    """Gives every response of an application, to a bug too, the headers under which a browser runs nothing foreign."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                there = {name.lower() for name, _ in message["headers"]}
                added = [(name, value) for name, value in _SAFE.items() if name not in there]
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        await self.app(scope, receive, safely if scope["type"] == "http" else send)


async def page_of(request: Request) -> Page:
    """The page of the running server."""
    page: Page = request.app.state.page
    return page


async def visitor(request: Request) -> Caller:
    """Who looks at it.

    Raises:
        ApiError: 401, neither a session nor a key that this server takes.
    """
    sessions: Sessions = request.app.state.sessions
    return await sessions.caller(request)


async def runs_of(page: Annotated[Page, Depends(page_of)], _: Annotated[Caller, Depends(visitor)]) -> Path:
    """The folder of benchmark runs.

    Raises:
        ApiError: 404, the server was given none.
    """
    if page.ui.runs is None:
        raise ApiError(404, "this server shows no benchmark runs; start it with --runs FOLDER")
    return page.ui.runs


Behind = Annotated[Page, Depends(page_of)]
Visitor = Annotated[Caller, Depends(visitor)]
Folder = Annotated[Path, Depends(runs_of)]


def add_page(app: FastAPI, page: Page) -> None:
    """Add the page and everything behind it; the whole is to be served as `Safe`."""
    mimetypes.add_type("text/javascript", ".js")  # some systems say otherwise, and then no browser runs it
    app.state.page, app.state.sessions = page, Sessions(page.service)
    document = (STATIC / "index.html").read_text("utf-8")
    style = colours()

    async def shell() -> Response:
        return HTMLResponse(document)

    async def perspectives() -> Response:
        return Response(style, media_type="text/css")

    for path in ("/", "/answers/{name}", "/runs", "/runs/{path:path}"):
        app.add_api_route(path, shell, include_in_schema=False)
    app.add_api_route("/static/colours.css", perspectives, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=STATIC))
    app.include_router(_router)


_router = APIRouter()


@_router.post("/page/session", status_code=204)
async def session(body: SessionKey, request: Request, response: Response) -> None:
    """Give a key, once."""
    sessions: Sessions = request.app.state.sessions
    await sessions.begin(body.key, request, response)


@_router.get("/page/setup")
async def told(page: Behind, _: Visitor) -> dict[str, Any]:
    """What the page needs to open."""
    return await asyncio.to_thread(setup, page)


@_router.post("/page/estimate")
async def estimate(body: PageQuestion, page: Behind, caller: Visitor) -> dict[str, Any]:
    """What a question would take."""
    return asdict(await page.estimate(caller, body))


@_router.post("/page/answers", status_code=202)
async def ask(body: PageQuestion, page: Behind, caller: Visitor) -> dict[str, str]:
    """Ask a question; its id."""
    return {"id": await page.ask(caller, body)}


@_router.get("/page/answers/{name}")
async def answer(name: str, page: Behind, caller: Visitor) -> dict[str, Any]:
    """What came of a question."""
    return await page.shown(caller, name)


@_router.delete("/page/answers/{name}", status_code=204)
async def delete(name: str, page: Behind, caller: Visitor) -> None:
    """Delete a question and all that came of it."""
    await page.delete(caller, name)


@_router.get("/page/answers/{name}/events")
async def events(name: str, request: Request, page: Behind, _: Visitor) -> Response:
    """Follow a question under way; `Last-Event-ID` says where a reader was."""
    last = request.headers.get("Last-Event-ID", "")
    known = last.isdecimal() and len(last) < 10  # else it is none of ours
    return EventStream(page.speaking(name).follow(int(last) if known else 0), lambda: None)


@_router.post("/page/answers/{name}/cancel", status_code=204)
async def cancel(name: str, page: Behind, caller: Visitor) -> None:
    """End a question under way."""
    speaking = page.speaking(name)
    if speaking.posed.caller.space != caller.space:
        raise ApiError(403, "only the one who asked can cancel a question", code="not_yours")
    speaking.cancel()


@_router.get("/page/answers/{name}/download.{form}")
async def download(name: str, form: str, page: Behind, _: Visitor) -> Response:
    """An answer as a file: md, html or json."""
    if form not in _FORMS:
        raise ApiError(404, f"no download as {form!r}; there are {', '.join(_FORMS)}")
    kind, write = _FORMS[form]
    exchange = await page.exchange(name)
    text = await asyncio.to_thread(write, exchange.result)
    headers = {"Content-Disposition": f'attachment; filename="multiplex-{exchange.id}.{form}"'}
    if form == "html":
        headers["Content-Security-Policy"] = REPORT_POLICY
    return Response(text, media_type=kind, headers=headers)


@_router.get("/page/runs")
def listed(folder: Folder) -> dict[str, Any]:
    """The runs of the folder."""
    return bench_runs.listed(folder)


@_router.get("/page/runs/{name}/units")
def units(
    folder: Folder, name: str, text: str = "", model: str = "", strategy: str = "", state: str = "", after: int = 0
) -> dict[str, Any]:
    """A page of a run's units."""
    return bench_runs.units(folder, name, text=text, model=model, strategy=strategy, state=state, after=after)


@_router.get("/page/runs/{name}/units/{unit}")
def unit(folder: Folder, name: str, unit: str) -> dict[str, Any]:
    """One unit."""
    return bench_runs.unit(folder, name, unit)


@_router.get("/reports/{name}")
def report(folder: Folder, name: str) -> Response:
    """A run's report, which may run nothing."""
    headers = {"Content-Security-Policy": REPORT_POLICY}
    return FileResponse(bench_runs.report(folder, name), media_type="text/html", headers=headers)
