"""POST /v1/chat/completions and /v1/responses: lets a council answer what is asked, and sends it out as it comes."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response

from multiplex.errors import MultiplexError
from multiplex.serve.conversation.request import TurnRequest
from multiplex.serve.conversation.turn import Ended, Piece, Said, pieces
from multiplex.serve.http.sse import EventStream, unless_gone
from multiplex.serve.openai.chunks import ALIVE, ALIVE_EVERY, ChatForm, ReplyFormat
from multiplex.serve.openai.extensions import language_of, needs_passing, thread_of, wants_measures
from multiplex.serve.openai.fields import check_council, unused
from multiplex.serve.openai.messages import conversation
from multiplex.serve.openai.schema import ApiError, ChatRequest, a_bug, as_api_error
from multiplex.serve.openai.served_models import ServedModel
from multiplex.serve.openai.single_calls import passed
from multiplex.serve.openai.stop_sequences import StopFilter
from multiplex.serve.openai.utility_prompts import is_chore

if TYPE_CHECKING:
    from starlette.requests import Request

    from multiplex.council.answer import Answer, Span
    from multiplex.serve.service import Caller, Service

LEFT = 499  # what proxies log for a client that went away


async def complete(
    service: Service, caller: Caller, request: Request, body: ChatRequest, form: ReplyFormat | None = None
) -> Response:
    """The answer to one request, streamed or whole, written as a chat completion where no other form is given.

    Raises:
        ApiError: it cannot be answered.
    """
    usage = body.stream_options is not None and body.stream_options.include_usage
    reply = CompletionJob(service, caller, body, form or ChatForm(body.model, usage), request.headers)
    reply.request_id = request.state.request_id
    if body.stream:
        return EventStream(reply.events(), reply.close)
    try:
        made = await unless_gone(reply.whole(), request.receive)
    finally:
        reply.close()
    return Response(status_code=LEFT) if made is None else JSONResponse(made)


class CompletionJob:
    """One request on its way: checked when it is made, answered by `events` or `whole`, over with `close`.

    Raises:
        ApiError: there is no such model, the conversation cannot be read, or it is too much now.
    """

    def __init__(
        self, service: Service, caller: Caller, body: ChatRequest, form: ReplyFormat, headers: Mapping[str, str]
    ) -> None:
        self._service, self._caller, self._body, self._form = service, caller, body, form
        self._began = perf_counter()
        self.request_id: str | None = None
        offer = service.offer(body.model)
        messages = conversation(body.messages, service.chat.spec, service.options.limits.question)
        self._chore = is_chore([(message.role, message.text) for message in body.messages])
        offer = ServedModel("uniplex", "uniplex") if self._chore else offer
        self._measures = wants_measures(body, headers)
        thread = None if self._chore else thread_of(body, headers, caller, service)
        self._unused: tuple[str, ...] = ()
        self._stop: StopFilter | None = None
        self._passes = False
        if offer.council is None:
            self._passes = needs_passing(body, thread)
        else:
            check_council(body, offer.name)
            self._unused = unused(body)
            self._stop = StopFilter([body.stop] if isinstance(body.stop, str) else body.stop) if body.stop else None
        self._asked = TurnRequest(
            offer=offer,
            messages=messages,
            chat=service.chat.adjusted(temperature=body.temperature, max_tokens=body.answer_tokens, user=body.user),
            voice_models={
                name: chat.adjusted(temperature=body.temperature, user=body.user)
                for name, chat in service.voice_models.items()
            },
            seed=random.randrange(2**31) if body.seed is None else body.seed % 2**31,
            thread=thread,
            replaces=_is_whole(body),
            streamed=bool(body.stream),
            language=language_of(body, headers),
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
                        extras = await self._extras(piece) if isinstance(piece, Ended) else {}
                        if isinstance(piece, Ended):
                            self._place.close()  # whoever reads the end may ask the next question at once
                        yield self._form.piece(piece, extras)
                    if not batch:
                        yield ALIVE
        except ApiError as error:
            self._place.close()
            yield self._form.failure(error)
            return
        self._outcome = "ok"
        yield self._form.last(self._answer)

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
            made = self._form.whole(came, end, await self._extras(end))
        self._outcome = "ok"
        return made

    async def _batches(self) -> AsyncIterator[list[Piece]]:
        asked = self._asked
        if self._passes:
            made = passed(self._body, asked.offer.strategy, asked.chat, asked.seed, self._question)
        else:
            made = pieces(asked, self._service.memory, self._service.graphs)
        async for batch in self._service.running.gathered(made, ALIVE_EVERY):
            if batch and isinstance(batch[-1], Ended):
                self._answer = batch[-1].answer
            yield [kept for piece in batch for kept in self._until_stop(piece)] if self._stop is not None else batch

    def _until_stop(self, piece: Piece) -> Iterator[Piece]:
        """A piece of a council's answer as far as it stands before a stop sequence of the request."""
        if self._stop is None or not isinstance(piece, Said | Ended):
            yield piece
        elif isinstance(piece, Said):
            if said := self._stop.feed(piece.text):
                yield Said(said)
        else:
            if said := self._stop.feed("", last=True):
                yield Said(said)
            cut = replace(piece, finish="stop", answer=_up_to(len(self._stop.cut(piece.answer.text)), piece.answer))
            yield cut if self._stop.hit else piece

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
        answer, beside = end.answer, (*end.notes, *self._unused)
        told: dict[str, Any] = {
            "strategy": answer.strategy,
            "seed": self._asked.seed,
            "lost": list(answer.lost),
            "notes": [*answer.notes, *beside],
        }
        if answer.form is not None:
            told |= {"form": answer.form, "check": answer.check}
            told["findings"] = [finding.model_dump() for finding in answer.findings]
        if self._measures:
            measured = await self._service.measured(answer, end.question)
            told["notes"] = [*measured.answer.notes, *beside]
            told["measures"] = measured.measures and measured.measures.model_dump(mode="json")
            told["retention"] = told["kept"] = measured.retention and measured.retention.model_dump(mode="json")
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
            request=self.request_id,
            chore=self._chore or None,
            streamed=bool(self._body.stream),
        )


def _up_to(end: int, answer: Answer) -> Answer:
    """An answer as far as it was given, so that what is measured is what was read."""

    def within(spans: Iterable[Span]) -> tuple[Span, ...]:
        return tuple((first, min(last, end)) for first, last in spans if first < end)

    kept = {"text": answer.text[:end], "scaffold": within(answer.scaffold), "quoted": within(answer.quoted)}
    return answer.model_copy(update=kept)


def _is_whole(body: ChatRequest) -> bool:
    """Whether the request holds earlier turns, and so the whole conversation."""
    return sum(message.role in ("user", "assistant") for message in body.messages) > 1
