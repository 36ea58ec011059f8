"""Processes that start in a moment: forked from one that has imported everything, with the standard streams,
environment and folder of whoever asked for them.

A test starts `tests/forked.py`, a small process that hands its own streams over and lives as long as what was forked:
signals sent to it are passed on, its exit status is the other's. What must be a program of its own from the first
instruction on (killed, limited by the system, its imports looked at) is started as `FRESH` of tests/command.py.
"""

from __future__ import annotations

import array
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

PRELOADED = (
    "multiplex.answering", "multiplex.bench.execute.command", "multiplex.bench.report.page", "multiplex.cli.answer",
    "multiplex.cli.main", "multiplex.cli.score", "multiplex.council.graph", "multiplex.evaluation.scorer",
    "multiplex.serve.app", "multiplex.serve.mcp.server", "multiplex.serve.page.routes", "multiplex.serve.server",
    "langchain_openai", "langgraph.graph", "openai.resources.chat", "scipy.stats", "uvicorn",
)  # fmt: skip


def serve(path: str) -> dict[str, Any] | None:
    """Fork a process for every connection to a Unix socket, until the parent is gone.

    Returns only in the forked processes: what one of them is to run.
    """
    import gc
    from importlib import import_module

    for name in PRELOADED:
        with suppress(ImportError):  # an extra that is not installed
            import_module(name)
    from multiplex.answering import question_language
    from multiplex.council.personas import Council
    from multiplex.evaluation import Evaluator

    Council.load()
    evaluator = Evaluator()
    evaluator.preload()
    evaluator.measure(question := "Do weights, gazetteers and sourcebooks have to be read more than once?")
    question_language(question)
    gc.freeze()
    listener = socket.socket(socket.AF_UNIX)
    Path(path).unlink(missing_ok=True)  # of a killed run whose process had this one's number
    listener.bind(path)
    listener.listen(64)
    woken, wake = socket.socketpair()
    for end in (woken, wake):
        end.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
    ready = selectors.DefaultSelector()
    for each in (listener, woken, sys.stdin):
        ready.register(each, selectors.EVENT_READ)
    running: dict[int, socket.socket] = {}
    while True:
        for key, _ in ready.select():
            if key.fileobj is sys.stdin:  # the tests are over
                for pid in running:
                    os.kill(pid, signal.SIGKILL)
                os._exit(0)
            elif key.fileobj is woken:
                woken.recv(4096)
                while (ended := _ended(running)) is not None:
                    pid, status = ended
                    with running.pop(pid) as asker:
                        if asker in ready.get_map():
                            ready.unregister(asker)
                        _send(asker, status)
            elif key.fileobj is listener:
                asker, _ = listener.accept()
                order, streams = _receive(asker)
                pid = os.fork()
                if pid == 0:
                    signal.set_wakeup_fd(-1)
                    for each in (listener, woken, wake, asker, *running.values(), ready):
                        each.close()
                    return _become(order, streams)
                for stream in streams:
                    os.close(stream)
                _send(asker, pid)
                running[pid] = asker
                ready.register(asker, selectors.EVENT_READ, pid)
            else:  # whoever asked was killed
                ready.unregister(key.fileobj)
                os.kill(key.data, signal.SIGKILL)


def _ended(running: dict[int, socket.socket]) -> tuple[int, int] | None:
    if not running:
        return None
    pid, status = os.waitpid(-1, os.WNOHANG)
    return (pid, os.waitstatus_to_exitcode(status)) if pid else None


def _send(asker: socket.socket, value: int) -> None:
    with suppress(OSError):  # whoever asked may be gone
        asker.sendall(f"{value}\n".encode())


def _receive(asker: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """The order, and the three streams that came with it."""
    streams = array.array("i")
    data, extra, _, _ = asker.recvmsg(65536, socket.CMSG_LEN(3 * streams.itemsize))
    for _, _, each in extra:
        streams.frombytes(each[: 3 * streams.itemsize])
    while not data.endswith(b"\n"):
        data += asker.recv(65536)
    return json.loads(data), list(streams)


def _become(order: dict[str, Any], streams: list[int]) -> dict[str, Any]:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(order["environment"])
    os.chdir(order["folder"])
    sys.argv = ["-c", *order["arguments"]]
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    warnings.filterwarnings("error", category=ResourceWarning)
    encoding, _, errors = order["environment"].get("PYTHONIOENCODING", "utf-8").partition(":")
    for name, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        stream = open(  # noqa: SIM115  # it stays open as long as the process
            number,
            "w" if number else "r",
            buffering=1 if number == 2 or (number and os.isatty(number)) else -1,
            encoding=encoding or "utf-8",
            errors=errors or ("backslashreplace" if number == 2 else "strict"),
            closefd=False,
        )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    return order


class Forkserver:
    """The process that others are forked from; it ends with the tests."""

    def __init__(self, path: str) -> None:
        root = str(Path(__file__).parents[1])
        script = f"import sys; sys.path.insert(0, {root!r})\nfrom tests import forkserver\n{RUN}"
        # One thread: GNU's OpenMP hangs in a process that is forked from one with more.
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-c", script, path]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, cwd=root, env=environment)

    def stop(self) -> None:
        """End it, and everything that was forked from it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:  # it was still importing
            self.process.kill()
            self.process.wait()


RUN = """
import sys
order = forkserver.serve(sys.argv[1])
exec(compile(order["code"], "<string>", "exec"), {"__name__": "__main__"})
"""
