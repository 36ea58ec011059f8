"""The server's pages: OpenAI's API, and what those who run it look at."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException

from multiplex.answering import version
from multiplex.errors import MultiplexError
from multiplex.serve.http.keys import is_loopback
from multiplex.serve.http.limits import Gate
from multiplex.serve.http.metrics import CONTENT_TYPE
from multiplex.serve.http.request_ids import REQUEST_ID, RequestIds
from multiplex.serve.openai.completions import complete
from multiplex.serve.openai.response_schema import ResponseRequest
from multiplex.serve.openai.responses import respond
from multiplex.serve.openai.schema import ApiError, ChatRequest, ErrorReply, a_bug, as_api_error
from multiplex.serve.service import Caller, Service

if TYPE_CHECKING:
    from multiplex.serve.page.backend import Page

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
_REFUSALS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": ErrorReply},  # FastAPI then adds no 422, which is never sent
    "5XX": {"model": ErrorReply},
}
_THERE = ("GET /v1/models", "POST /v1/chat/completions", "POST /v1/responses")
NO_JSON = "the body is not valid JSON"
_TEXT: dict[str, Any] = {"content": {"text/plain": {}}}
_STREAM: dict[int | str, dict[str, Any]] = {200: {"content": {"text/event-stream": {}}}}


def create_app(service: Service, page: Page | None = None) -> FastAPI:
    """The ASGI application of an open service, for the event loop in which it was opened, with or without a page."""
    options = service.options
    app = FastAPI(
        title="multiplex",
        version=version(),
        responses=_REFUSALS,
        docs_url=None,
        redoc_url=None,
    )
    app.state.service = service
    guarded = is_loopback(options.host) and not service.keys
    app.add_middleware(Gate, hosts=LOCAL_NAMES | {options.host} if guarded else None, body=options.limits.body)
    if options.cors:  # round the gate, so that a page can read why it was refused
        app.add_middleware(
            CORSMiddleware,
            allow_origins=options.cors,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["*"],
            expose_headers=[REQUEST_ID],
        )
    app.add_middleware(RequestIds)
    app.exception_handler(ApiError)(_told)
    app.exception_handler(RequestValidationError)(_invalid)
    app.exception_handler(HTTPException)(_refused)
    app.exception_handler(Exception)(_bug)
    app.exception_handler(MultiplexError)(_ours)
    _add_pages(app)
    if page is not None:
        from multiplex.serve.page.routes import add_page

        add_page(app, page)
    return app


async def service_of(request: Request) -> Service:
    """The running service."""
    service: Service = request.app.state.service
    return service


_bearer = HTTPBearer(auto_error=False)
Running = Annotated[Service, Depends(service_of)]


Given = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


async def caller(request: Request, service: Running, given: Given) -> Caller:
    """Who asks.

    Raises:
        ApiError: 401, the key is missing or wrong; 429, too many wrong ones came from there.
    """
    return await service.admit(given.credentials if given else None, request)


Known = Annotated[Caller, Depends(caller)]


def _add_pages(app: FastAPI) -> None:
    @app.get("/v1/models")
    async def models(service: Running, _: Known) -> dict[str, Any]:
        """Every council and strategy as a model."""
        return {"object": "list", "data": [_model(service, name) for name in service.offers]}

    @app.get("/v1/models/{name:path}")
    async def model(name: str, service: Running, _: Known) -> dict[str, Any]:
        """One of them."""
        return _model(service, service.offer(name).name)

    @app.post("/v1/chat/completions", responses=_STREAM)
    async def chat_completions(body: ChatRequest, request: Request, service: Running, known: Known) -> Response:
        """Ask; the answer comes whole, or as server-sent events."""
        return await complete(service, known, request, body)

    @app.post("/v1/responses", responses=_STREAM)
    async def responses(body: ResponseRequest, request: Request, service: Running, known: Known) -> Response:
        """Ask in the newer form; the answer comes whole, or as server-sent events."""
        return await respond(service, known, request, body)

    @app.delete("/v1/threads/{name:path}", status_code=204)
    async def delete_thread(name: str, service: Running, known: Known) -> None:
        """Delete what a thread of the caller's holds."""
        await service.delete_thread(known, name)

    @app.get("/healthz", responses={200: _TEXT})
    async def healthz() -> Response:
        """Whether this process answers."""
        return PlainTextResponse("ok\n")

    @app.get("/readyz", responses={200: _TEXT, 503: _TEXT}, openapi_extra={"security": [{}]})
    async def readyz(request: Request, service: Running, given: Given) -> Response:
        """Whether a question could be answered: is a model there. Why not is for those who may ask."""
        if given is not None:
            await service.admit(given.credentials, request)
        why = "the server is stopping" if service.running.closing else await service.unready()
        if why is not None and service.exposed and (given is None or not service.keys):
            why = "not ready"
        return PlainTextResponse("ready\n") if why is None else PlainTextResponse(f"{why}\n", 503)

    @app.get("/metrics", responses={200: _TEXT})
    async def metrics(service: Running, _: Known) -> Response:
        """Counters for Prometheus."""
        return Response(await asyncio.to_thread(service.metrics.text), media_type=CONTENT_TYPE)


def _model(service: Service, name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": int(service.started), "owned_by": "multiplex"}


def _envelope(error: ApiError, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse(error.body.model_dump(), error.status, headers or error.headers)


async def _told(_: Request, error: ApiError) -> Response:
    return _envelope(error)


async def _ours(_: Request, error: MultiplexError) -> Response:
    return _envelope(as_api_error(error))


async def _invalid(_: Request, error: RequestValidationError) -> Response:
    """A field is wrong: the first one, by its name, without what was sent."""
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return _envelope(ApiError(400, NO_JSON))
    if first["loc"] == ("body",) and isinstance(first["input"], bytes):  # as FastAPI leaves what is not said to be JSON
        return _envelope(ApiError(415, "the body must be JSON, and said to be: `Content-Type: application/json`"))
    param = ".".join(str(part) for part in first["loc"] if part != "body") or None
    code = "missing_required_parameter" if first["type"] == "missing" else "invalid_value"
    return _envelope(ApiError(400, f"{param or 'body'}: {first['msg']}", code=code, param=param))


async def _refused(request: Request, error: HTTPException) -> Response:
    said = NO_JSON if error.status_code == 400 else str(error.detail)  # FastAPI's, of a body that JSON's reader gave up
    if error.status_code == 404 and request.url.path.startswith("/v1/"):
        said = f"no such address; there are {', '.join(_THERE)}"
    return _envelope(ApiError(error.status_code, said), error.headers)


async def _bug(request: Request, error: Exception) -> Response:
    told = a_bug(error, path=request.url.path, request=request.state.request_id)
    return _envelope(told, {**told.headers, REQUEST_ID: request.state.request_id})
