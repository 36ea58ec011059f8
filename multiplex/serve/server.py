"""Carries out `multiplex serve`: checks what was asked, opens the port, and stops without leaving anyone unanswered."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from contextlib import AsyncExitStack
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn

from multiplex.errors import UsageError
from multiplex.serve.app import create_app
from multiplex.serve.http.connections import Connections, affordable, cut, guard
from multiplex.serve.http.keys import Keys, check_host
from multiplex.serve.http.logs import configure, log
from multiplex.serve.http.sockets import address, listening, prepare
from multiplex.serve.openai.served_models import COUNCIL_STRATEGY, offers
from multiplex.serve.options import ServeOptions
from multiplex.serve.service import Service, opened

if TYPE_CHECKING:
    from starlette.types import ASGIApp

LOOK = 0.1  # seconds between two looks at whether a second interrupt came
AFTERWARDS = 5  # seconds that an answer which was ended has to reach its reader


class Server(uvicorn.Server):
    """uvicorn's server; when it must stop, questions under way have their time, then each is told why it ends."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Say where it listens, once it does."""
        await super().startup(sockets)
        if self.started and sockets:
            names = ", ".join(self._service.offers)
            where = address(sockets[0])
            print(f"serving {where}/v1: {names}; model {self._service.options.spec.name}", flush=True)
            if self._service.options.ui is not None:
                print(f"page at {where}/", flush=True)

    def handle_exit(self, sig: int, _: FrameType | None) -> None:
        """Stop; a second interrupt stops at once. No signal goes further: what is open is still to be closed."""
        self.force_exit = self.force_exit or (self.should_exit and sig == signal.SIGINT)
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let what runs finish, up to the limit."""
        grace, under_way = self._service.options.grace, len(self._service.running)
        log("stopping", under_way=under_way, grace=grace if under_way else None)
        loop = asyncio.get_running_loop()
        timers = (
            loop.call_later(grace, self._service.running.close),
            loop.call_later(grace + AFTERWARDS, self._hang_up),
        )
        try:
            await super().shutdown(sockets)
            await self._finished()
        finally:
            for timer in timers:
                timer.cancel()

    async def _finished(self) -> None:
        """Wait for what is under way though nobody reads it, unless a second interrupt says at once."""
        over = asyncio.ensure_future(self._service.running.over())
        while not over.done() and not self.force_exit:
            await asyncio.wait({over}, timeout=LOOK)
        over.cancel()

    def _hang_up(self) -> None:
        """Cut what is still connected: a reader that reads nothing would keep the process from ending."""
        for connection in list(self.server_state.connections):
            if (transport := connection.transport) is not None:
                cut(transport)


def carry_out(options: ServeOptions) -> int:
    """Serve until told to stop; the exit code.

    Raises:
        UsageError: the address cannot be used or is open to the network without keys, a model's key is missing, or a
            model is meant for a voice that no council has.
        MultiplexError: the embedded model cannot be had, or the memory cannot be reached.
    """
    keys = Keys.from_environment()
    check_host(options.host, keys, options.insecure)
    _check_voices(options)
    with listening(options.host, options.port) as sock:
        for spec in {options.spec, *options.voice_models.values(), *(options.ui.models if options.ui else ())}:
            prepare(spec)
        configure()
        config = uvicorn.Config(
            "",
            log_config=None,
            access_log=False,
            server_header=False,
            ws="none",
            lifespan="off",
            timeout_graceful_shutdown=int(options.grace) + 2 * AFTERWARDS,
        )
        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            runner.run(_serve(options, keys, config, sock))
    return 0


def _check_voices(options: ServeOptions) -> None:
    councils = [offer.council for offer in offers(options.councils).values() if offer.council is not None]
    seats = dict.fromkeys(perspective for council in councils for perspective in council.perspectives)
    for perspective in options.voice_models:
        if perspective not in seats:
            raise UsageError(f"--voice-model: no perspective {perspective!r} in any council here: {', '.join(seats)}")


def _settle(service: Service) -> None:
    """Load what a question needs, and spare the garbage collector all that stays: it is a tenth of the work."""
    import langchain_openai  # noqa: F401
    import openai.resources.chat  # noqa: F401

    from multiplex.council.graph import build_graph

    build_graph(service.offers[COUNCIL_STRATEGY].council, service.chat)
    gc.collect()
    gc.freeze()


async def _serve(options: ServeOptions, keys: Keys, config: uvicorn.Config, sock: socket.socket) -> None:
    async with AsyncExitStack() as held:
        service = await held.enter_async_context(opened(options, keys))
        config.app = await _application(service, held)
        limits = options.limits
        places = Connections(affordable(limits.connections), limits.body, service.metrics.refuse_connection)
        if places.most < limits.connections:
            log("fewer connections: this process may open too few files", connections=places.most)
        service.metrics.watch_connections(lambda: len(places))
        guard(config, places)
        _settle(service)
        await Server(config, service).serve([sock])


async def _application(service: Service, held: AsyncExitStack) -> ASGIApp:
    """The application, with its page where one is asked for, which is open as long as `held`."""
    if service.options.ui is None:
        return create_app(service)
    from multiplex.serve.page.backend import opened_page
    from multiplex.serve.page.routes import Safe

    return Safe(create_app(service, await held.enter_async_context(opened_page(service, service.options.ui))))
