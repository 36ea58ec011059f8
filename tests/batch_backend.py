"""A loopback endpoint with files and batches, whose luck the test decides."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from tests.backend import Body, Say, asked

Line = dict[str, Any]
_UNDER_WAY = ("validating", "in_progress")
_FILE = re.compile(rb'filename="[^"]*"\r\n(?:[^\r]+\r\n)*\r\n(.*)\r\n--', re.DOTALL)


def _say(_: Body) -> Say:
    return Say()


@dataclass
class BatchBackend:
    """What it holds and how it behaves.

    Attributes:
        looks: how often a batch is asked after before it ends.
        dialect: whose API it copies.
        room: requests that may be under way at once, in all batches.
        ends: the state in which a batch ends, by its number (from 0).
        undone: whether a request is left without a response, by its batch's number and its `custom_id`.
        mangle: what becomes of a file of replies when it is read.
        describe: what becomes of the description of a batch.
        more: whether its list of batches says that it goes on, though it is whole.
        page: what answers a request, by its path, in place of all else; nothing is done then.
        before: is told of each request by its path before it is answered; it may raise ConnectionResetError.
        status: of the response to a request, by its path; other than 200 nothing is done, and a 429 says to wait 1 s.
        asked: the bodies of all requests of batches that were answered, which are paid for.
    """

    url: str = ""
    looks: int = 0
    dialect: Literal["openai", "together"] = "openai"
    room: int | None = None
    ends: Callable[[int], str] = lambda _: "completed"
    undone: Callable[[int, str], bool] = lambda _, __: False
    script: Callable[[Body], Say] = _say
    mangle: Callable[[bytes], bytes] = bytes
    describe: Callable[[Line], Line] = dict
    more: bool = False
    page: Callable[[str], bytes | None] = lambda _: None
    before: Callable[[str], None] = lambda _: None
    status: Callable[[str], int] = lambda _: 200
    files: dict[str, bytes] = field(default_factory=dict)
    batches: dict[str, Line] = field(default_factory=dict)
    asked: list[Body] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def upload(self, data: bytes) -> str:
        name = f"file-{len(self.files)}"
        self.files[name] = data
        return name

    def create(self, file: str) -> Line:
        name = f"batch-{len(self.batches)}"
        lines = self.files[file].count(b"\n")
        under_way = sum(each["calls"] for each in self.batches.values() if each["status"] in _UNDER_WAY)
        state = "validating" if self.room is None or under_way + lines <= self.room else "full"
        self.batches[name] = {"id": name, "object": "batch", "input_file_id": file, "status": state, "looks": 0,
                              "calls": lines, "endpoint": "/v1/chat/completions"}  # fmt: skip
        return self.batches[name]

    def show(self, batch: Line) -> Line:
        shown = self.describe(batch)
        if self.dialect == "together":
            shown = {name: value for name, value in shown.items() if name != "request_counts"}
            shown["status"] = shown["status"].upper()
        return shown

    def look(self, batch: Line) -> Line:
        batch["looks"] += 1
        if batch["status"] == "full":
            self._fail(batch)
        if batch["status"] in _UNDER_WAY:
            batch["status"] = "in_progress"
            if batch["looks"] > self.looks:
                self._end(batch)
        return batch

    def _fail(
        self, batch: Line, code: str = "token_limit_exceeded", said: str = "Enqueued token limit reached"
    ) -> None:
        batch.update(status="failed", errors={"data": [{"code": code, "message": said}]})

    def _end(self, batch: Line) -> None:
        number = int(batch["id"].removeprefix("batch-"))
        batch["status"] = state = self.ends(number)
        if state == "failed":
            self._fail(batch, "invalid_file", "a line is no JSON")
            return
        good, bad, undone = list[str](), list[str](), 0
        for row in map(json.loads, self.files[batch["input_file_id"]].splitlines()):
            if self.undone(number, row["custom_id"]):
                undone += 1
                expired = {"code": f"batch_{state}", "message": "not done in time"}
                bad.append(json.dumps({"custom_id": row["custom_id"], "response": None, "error": expired}))
                continue
            self.asked.append(row["body"])
            say = self.script(row["body"])
            body = _completion(row["body"], say)
            response = {"status_code": say.status, "body": body if say.status == 200 else {"error": say.error}}
            line = json.dumps({"custom_id": row["custom_id"], "response": response, "error": None})
            (good if say.status == 200 else bad).append(line)
        batch["request_counts"] = {"total": len(good) + len(bad), "completed": len(good), "failed": len(bad) - undone}
        for name, lines in (("output_file_id", good), ("error_file_id", bad)):
            if lines:  # in any order: ours is the reverse
                batch[name] = self.upload("".join(f"{line}\n" for line in reversed(lines)).encode())


def _completion(asked_for: Body, say: Say) -> Line:
    message = {"role": "assistant", "content": say.text}
    usage = {"prompt_tokens": len(asked(asked_for).split()), "completion_tokens": len(say.text.split(" "))}
    choice = {"index": 0, "message": message, "finish_reason": say.finish, "logprobs": say.logprobs}
    return {"choices": [choice], "usage": usage}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    backend: BatchBackend

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(lambda: self._post(data))

    def do_GET(self) -> None:
        self._answer(self._get)

    def _answer(self, make: Callable[[], Line | list[Line] | bytes | None]) -> None:
        try:
            with self.backend.lock:
                request = f"{self.command} {self.path}"
                self.backend.before(request)
                code = self.backend.status(request)
                page = self.backend.page(request)
                made = page if page is not None else make() if code == 200 else None
        except ConnectionResetError:
            self.connection.recv(1)  # until whoever asked is gone
            self.close_connection = True
            self.connection.close()
            return
        gone = {"error": {"message": "no such thing", "type": "not_found"}}
        data = made if isinstance(made, bytes) else json.dumps(gone if made is None else made).encode()
        self.send_response(200 if made is not None else 404 if code == 200 else code)
        kind = "application/octet-stream" if isinstance(made, bytes) else "application/json"
        kind = kind if page is None else "text/html"
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        if code == 429:
            self.send_header("Retry-After", "1")
        self.end_headers()
        self.wfile.write(data)

    def _post(self, data: bytes) -> Line | None:
        uploads = {"openai": ("/v1/files", b"batch"), "together": ("/v1/files/upload", b"batch-api")}
        place, purpose = uploads[self.backend.dialect]
        if self.path == place and b'name="purpose"\r\n\r\n' + purpose + b"\r\n" in data:
            assert (b'name="file_name"' in data) is (self.backend.dialect == "together")
            found = _FILE.search(data + b"\r\n--")
            assert found is not None
            return {"id": self.backend.upload(found[1].split(b"\r\n--")[0]), "object": "file"}
        if self.path == "/v1/chat/completions":  # a call by itself
            return _completion(json.loads(data), self.backend.script(json.loads(data)))
        if self.path != "/v1/batches":
            return None
        made = self.backend.show(self.backend.create(json.loads(data)["input_file_id"]))
        return {"job": made} if self.backend.dialect == "together" else made

    def _get(self) -> Line | list[Line] | bytes | None:
        path, _, _ = self.path.partition("?")
        *_, last = parts = path.removeprefix("/v1/").split("/")
        if path == "/v1/batches":
            rows = [self.backend.show(each) for each in self.backend.batches.values()]
            return (
                rows
                if self.backend.dialect == "together"
                else {"object": "list", "data": rows, "has_more": self.backend.more}
            )
        if parts[0] == "files":
            held = self.backend.files.get(parts[1])
            return None if held is None else self.backend.mangle(held)
        found = self.backend.batches.get(last)
        return None if found is None else self.backend.show(self.backend.look(found))


@contextmanager
def serving() -> Iterator[BatchBackend]:
    """A backend on a free loopback port, gone when the block ends."""
    handler = type("Handler", (_Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    backend = BatchBackend(f"http://127.0.0.1:{server.server_port}/v1")
    handler.backend = backend
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield backend
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
