"""POST /v1/chat/completions: reads what is asked, lets a council answer, and sends it out as it comes."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response

from multiplex.errors import MultiplexError
from multiplex.serve.conversation.request import TurnRequest
from multiplex.serve.conversation.turn import Ended, Piece, Said, Thought, pieces
from multiplex.serve.http.sse import EventStream, unless_gone
from multiplex.serve.openai.chunks import ALIVE, ALIVE_EVERY, DONE, Form, failure
from multiplex.serve.openai.messages import conversation
from multiplex.serve.openai.schema import ApiError, ChatRequest, a_bug, as_api_error
from multiplex.serve.openai.served_models import ServedModel
from multiplex.serve.openai.utility_prompts import is_chore

if TYPE_CHECKING:
    from starlette.requests import Request

    from multiplex.council.answer import Answer
    from multiplex.serve.service import Caller, Service

LEFT = 499  # what proxies log for a client that went away


async def complete(service: Service, caller: Caller, request: Request, body: ChatRequest) -> Response:
    """The answer to one request, streamed or whole.

    Raises:
        ApiError: it cannot be answered.
    """
    reply = Reply(service, caller, body)
    if body.stream:
        return EventStream(reply.events(), reply.close)
    try:
        made = await unless_gone(reply.whole(), request.receive)
    finally:
        reply.close()
    return Response(status_code=LEFT) if made is None else JSONResponse(made)


class Reply:
    """One request on its way: checked when it is made, answered by `events` or `whole`, over with `close`.

    Raises:
        ApiError: there is no such model, the conversation cannot be read, or it is too much now.
    """

    def __init__(self, service: Service, caller: Caller, body: ChatRequest) -> None:
        self._service, self._caller, self._body = service, caller, body
        self._began = perf_counter()
        offer = service.offer(body.model)
        messages = conversation(body, service.chat.spec, service.options.limits.question)
        self._chore = is_chore([(message.role, message.text) for message in body.messages])
        self._measures = _wants_measures(body.metadata or {})
        thread = None if self._chore else _thread(body.metadata or {}, caller, service)
        self._form = Form(body.model)
        self._asked = TurnRequest(
            offer=ServedModel("uniplex", "uniplex") if self._chore else offer,
            messages=messages,
            chat=service.chat.adjusted(temperature=body.temperature, max_tokens=body.answer_tokens, user=body.user),
            voice_chats={
                name: chat.adjusted(temperature=body.temperature, user=body.user)
                for name, chat in service.voice_chats.items()
            },
            seed=random.randrange(2**31) if body.seed is None else body.seed % 2**31,
            thread=thread,
            replaces=_is_whole(body),
            streamed=bool(body.stream),
        )
        self._place = ExitStack()
        self._place.enter_context(service.place(caller, self._asked.offer, thread))
        self._question = messages[-1].text
        self._outcome = "left"
        self._answer: Answer | None = None

    async def events(self) -> AsyncGenerator[bytes]:
        """The answer as events; one that goes wrong ends with an error event."""
        yield self._form.first()
        try:
            with self._told():
                async for batch in self._batches():
                    for piece in batch:
                        yield self._form.piece(piece, await self._extras(piece) if isinstance(piece, Ended) else {})
                    if not batch:
                        yield ALIVE
        except ApiError as error:
            yield failure(error)
            return
        if self._answer is not None and self._body.stream_options and self._body.stream_options.include_usage:
            yield self._form.usage(self._answer)
        self._outcome = "ok"
        yield DONE

    async def whole(self) -> dict[str, Any]:
        """The answer as one completion.

        Raises:
            ApiError: there is none.
        """
        came: list[Piece] = []
        with self._told():
            async for batch in self._batches():
                came += batch
            end = next(piece for piece in came if isinstance(piece, Ended))
            thoughts = "".join(piece.text for piece in came if isinstance(piece, Thought))
            said = "".join(piece.text for piece in came if isinstance(piece, Said))
            made = self._form.whole(thoughts, said, end, await self._extras(end))
        self._outcome = "ok"
        return made

    async def _batches(self) -> AsyncIterator[list[Piece]]:
        made = pieces(self._asked, self._service.memory, self._service.graphs)
        async for batch in self._service.running.gathered(made, ALIVE_EVERY):
            if batch and isinstance(batch[-1], Ended):
                self._answer = batch[-1].answer
            yield batch

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Whatever goes wrong in the block becomes an ApiError, and the outcome of this request."""
        try:
            yield
        except MultiplexError as error:
            told = as_api_error(error)
            self._outcome = told.body.error.code or told.body.error.type
            raise told from error
        except ApiError as error:
            self._outcome = error.body.error.code or error.body.error.type
            raise
        except Exception as error:
            self._outcome = "bug"
            raise a_bug(error, id=self._form.id) from error

    async def _extras(self, end: Ended) -> dict[str, Any]:
        """What is told beside the answer, and its measures where they were asked for."""
        answer = end.answer
        told: dict[str, Any] = {
            "strategy": answer.strategy,
            "seed": self._asked.seed,
            "lost": list(answer.lost),
            "notes": list(answer.notes),
        }
        if answer.form is not None:
            told |= {"form": answer.form, "check": answer.check}
            told["findings"] = [finding.model_dump() for finding in answer.findings]
        if self._measures:
            measured = await self._service.measured(answer, end.question)
            told["notes"] = list(measured.answer.notes)
            told["measures"] = measured.measures and measured.measures.model_dump(mode="json")
            told["kept"] = measured.kept and measured.kept.model_dump(mode="json")
        return told

    def close(self) -> None:
        """Give the place back, and write down how it ended."""
        self._place.close()
        self._service.answered(
            self._caller,
            self._body.model,
            self._outcome,
            perf_counter() - self._began,
            self._question,
            self._answer,
            id=self._form.id,
            chore=self._chore or None,
            streamed=bool(self._body.stream),
        )


def _wants_measures(metadata: Mapping[str, Any]) -> bool:
    wanted = metadata.get("measures", False)
    if wanted in (True, "true"):
        return True
    if wanted in (False, "false", None):
        return False
    raise ApiError(400, "metadata.measures is true or false", param="metadata.measures")


def _thread(metadata: Mapping[str, Any], caller: Caller, service: Service) -> str | None:
    """The name under which the memory keeps this caller's conversation; None where none is named.

    Raises:
        ApiError: it is no name, or this server keeps no conversations.
    """
    name = metadata.get("thread_id")
    return None if name is None else service.thread(caller, name)


def _is_whole(body: ChatRequest) -> bool:
    """Whether the request holds earlier turns, and so the whole conversation."""
    return sum(message.role in ("user", "assistant") for message in body.messages) > 1
