from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from langchain_core.messages import HumanMessage

from multiplex.errors import CallError
from multiplex.llm.chat import Chat
from multiplex.llm.spec import parse_spec
from multiplex.llm.transport import Transport

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nTransfer-Encoding: chunked\r\n\r\n"
STREAMS: list[Transport] = ["observed", "streamed"]


def event(content: str | None = None, finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": {} if content is None else {"content": content}, "finish_reason": finish}
    whole = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "m", "choices": [choice], **more}
    return b"data: " + json.dumps(whole, ensure_ascii=False).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"
FINE = event("fine.") + event(finish="stop") + DONE


@dataclass
class Endpoint:
    """Answers every request with the same pieces of a body, each sent alone; without `ends` the response stays open."""

    pieces: Sequence[bytes]
    kind: bytes = b"text/event-stream"
    ends: bool = True
    url: str = ""
    connections: int = 0
    paths: list[str] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.paths.append(head.split(b" ")[1].decode())
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                self.bodies.append(json.loads(await reader.readexactly(length)))
                writer.write(HEAD % self.kind)
                for piece in self.pieces:
                    writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                    await writer.drain()
                writer.write(b"0\r\n\r\n" if self.ends else b"")
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def running(endpoint: Endpoint) -> AsyncIterator[Endpoint]:
    server = await asyncio.start_server(endpoint.serve, "127.0.0.1", 0)
    endpoint.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    async with server:
        yield endpoint


def chat_of(endpoint: Endpoint, wire: Transport) -> Chat:
    return Chat(parse_spec("m", endpoint.url).model_copy(update={"retries": 0, "timeout": 5.0}), transport=wire)


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize("wire", STREAMS)
async def test_a_stream_is_heard_the_same_however_it_is_cut(wire: Transport, size: int) -> None:
    early: dict[str, Any] = {"choices": [], "prompt_filter_results": []}  # as Azure begins
    sent = (
        b": keep-alive\r\n\r\n"
        + b"data: "
        + json.dumps(early).encode()
        + b"\n\n"
        + event("Ubuntu \u2014 ", usage=None).replace(b"\n", b"\r\n")
    )
    sent += b"event: message\n" + event("n\u0169 kw\u0129gana.") + event(finish="stop")
    sent += event(choices=[], usage={"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12})
    sent += DONE.rstrip() if size == 7 else DONE  # the last empty line may be missing
    heard: list[str] = []
    async with running(Endpoint([sent[i : i + size] for i in range(0, len(sent), size)])) as endpoint:
        chat = chat_of(endpoint, wire)
        reply = await chat.complete([HumanMessage("Why?")], on_delta=heard.append)
        await chat.aclose()
    assert reply.text == "Ubuntu \u2014 n\u0169 kw\u0129gana."
    assert heard == ["Ubuntu \u2014 ", "n\u0169 kw\u0129gana."]
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (7, 5)


async def test_an_event_may_stretch_over_lines() -> None:
    first, last = b'data: {"choices": [{"delta":', b'data:  {"content": "fine."}, "finish_reason": "stop"}]}'
    async with running(Endpoint([first + b"\r\n" + last + b"\r\n\r\n", DONE])) as endpoint:
        chat = chat_of(endpoint, "streamed")
        assert (await chat.complete([HumanMessage("Why?")])).text == "fine."
        await chat.aclose()


@pytest.mark.parametrize("wire", STREAMS)
async def test_a_connection_serves_one_stream_after_the_other(wire: Transport) -> None:
    async with running(Endpoint([FINE])) as endpoint:
        chat = chat_of(endpoint, wire)
        for _ in range(5):
            await chat.complete([HumanMessage("Why?")])
        await chat.aclose()
    assert endpoint.connections == 1


@pytest.mark.parametrize("wire", STREAMS)
async def test_an_endpoint_that_has_said_all_need_not_end_its_response(wire: Transport) -> None:
    async with running(Endpoint([FINE], ends=False)) as endpoint:
        chat = chat_of(endpoint, wire)
        assert (await chat.complete([HumanMessage("Why?")])).text == "fine."
        await chat.aclose()


@pytest.mark.parametrize("page", [b"<html><p>Welcome</p></html>", b"data: <html>\n\n", b"data: [1]\n\n"])
@pytest.mark.parametrize("wire", STREAMS)
async def test_what_is_no_stream_of_a_chat_completion_says_so(wire: Transport, page: bytes) -> None:
    async with running(Endpoint([page])) as endpoint:
        chat = chat_of(endpoint, wire)
        with pytest.raises(CallError, match="no OpenAI-compatible chat completion"):
            await chat.complete([HumanMessage("Why?")])
        await chat.aclose()


@pytest.mark.parametrize(
    ("error", "said"), [({"message": "no\nmemory sk-abcdefgh1234"}, r"no memory \[key\]"), ("too busy", "too busy")]
)
async def test_an_error_in_a_stream_is_told_on_one_line_without_keys(error: Any, said: str) -> None:
    async with running(Endpoint([event("half"), event(error=error)])) as endpoint:
        chat = chat_of(endpoint, "streamed")
        with pytest.raises(CallError, match=said) as caught:
            await chat.complete([HumanMessage("Why?")])
        await chat.aclose()
    assert caught.value.kind == "server"


async def test_a_call_that_is_cancelled_gives_its_connection_back() -> None:
    async with running(Endpoint([event("half")], ends=False)) as endpoint:
        chat, heard = chat_of(endpoint, "streamed"), asyncio.Event()
        call = asyncio.create_task(chat.complete([HumanMessage("Why?")], on_delta=lambda _: heard.set()))
        await heard.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        endpoint.pieces, endpoint.ends = [FINE], True
        assert (await chat.complete([HumanMessage("Why?")])).text == "fine."
        limiter = chat.limiter
        await chat.aclose()
    assert limiter is not None
    assert limiter.in_flight == 0


async def test_chats_made_of_one_share_its_connections_and_say_what_they_were_told() -> None:
    async with running(Endpoint([FINE])) as endpoint:
        chat = chat_of(endpoint, "observed")
        quiet = chat.with_transport("streamed").adjusted(temperature=0.1, user="u1")
        await chat.complete([HumanMessage("Why?")])
        await quiet.complete([HumanMessage("Why?")])
        await quiet.with_transport("observed").complete([HumanMessage("Why?")])
        await chat.aclose()
    assert [(body["temperature"], body.get("user")) for body in endpoint.bodies] == [(0.7, None), *[(0.1, "u1")] * 2]
    assert endpoint.connections == 1


async def test_a_lent_chat_leaves_the_connections_open() -> None:
    async with running(Endpoint([FINE])) as endpoint:
        chat = chat_of(endpoint, "streamed")
        for _ in range(2):
            lent = chat.borrowed().adjusted(temperature=0.5)
            await lent.complete([HumanMessage("Why?")])
            await lent.aclose()
        connections = endpoint.connections
        await chat.aclose()
        await chat.complete([HumanMessage("Why?")])
        await chat.aclose()
    assert (connections, endpoint.connections) == (1, 2)


def test_adjusting_never_raises_a_limit() -> None:
    chat = Chat(parse_spec("m", "http://127.0.0.1:9/v1").model_copy(update={"answer_tokens": 100}))
    assert [
        (made.spec.answer_tokens, made.spec.synthesis_tokens, made.spec.voice_tokens)
        for made in (chat.adjusted(max_tokens=50), chat.adjusted(max_tokens=200), chat.adjusted(temperature=0.0))
    ] == [(50, 50, None), (100, 200, None), (100, None, None)]


@pytest.mark.parametrize(
    "sent", [b"", b"SSH-2.0-OpenSSH_9.9\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-", b"reset"], ids=lambda sent: sent[:3]
)
@pytest.mark.parametrize("wire", ["streamed", "whole"])
async def test_what_breaks_the_connection_before_a_reply_is_neither_silence_nor_an_absent_endpoint(
    wire: Transport, sent: bytes
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if sent == b"reset":
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        else:
            writer.write(sent)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        chat = chat_of(Endpoint([], url=url), wire)
        with pytest.raises(CallError, match="the connection broke before the answer was whole") as caught:
            await chat.complete([HumanMessage("Why?")])
        await chat.aclose()
    assert caught.value.kind == "server"


async def test_an_endpoint_elsewhere_is_asked_through_the_proxy_that_the_environment_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running(Endpoint([FINE])) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.removesuffix("/v1"))
        chat = chat_of(Endpoint([], url="http://api.example.org/v1"), "streamed")
        assert (await chat.complete([HumanMessage("Why?")])).text == "fine."
        await chat.aclose()
    assert proxy.connections == 1
