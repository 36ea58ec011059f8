"""`langgraph dev` starts from the repository's langgraph.json and answers a real request."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from langgraph_sdk import get_client

from multiplex.council.personas import Council
from tests.backend import Backend
from tests.council.test_threads import talking
from tests.ports import reserved_port
from tests.serve.luck import until

ROOT = Path(__file__).parents[2]
LANGGRAPH = shutil.which("langgraph", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")


@contextmanager
def developing(backend: Backend, folder: Path, port: int) -> Iterator[str]:
    """`langgraph dev` in a folder of its own, where it keeps what it stores; its address."""
    url, log = f"http://127.0.0.1:{port}", folder / "log"
    model = {
        "MULTIPLEX_MODEL": "m",
        "MULTIPLEX_BASE_URL": backend.base_url,
        "LANGSMITH_TRACING": "false",
        "LANGGRAPH_CLI_NO_ANALYTICS": "1",
    }
    config = ["--config", str(ROOT / "langgraph.json"), "--host", "127.0.0.1", "--port", str(port)]
    with log.open("w") as out:
        server = subprocess.Popen(
            [str(LANGGRAPH), "dev", "--no-browser", "--no-reload", *config],
            env={**os.environ, **model},
            cwd=folder,
            stdout=out,
            stderr=subprocess.STDOUT,
        )

    def up() -> bool:
        assert server.poll() is None, log.read_text()
        try:
            return httpx.get(f"{url}/ok").status_code == 200
        except httpx.HTTPError:
            return False

    try:
        until(up, "the server", 120)
        yield url
    finally:
        server.terminate()
        server.wait(30)


def test_studio_restores_no_other_classes_than_messages() -> None:
    config = json.loads((ROOT / "langgraph.json").read_text())
    assert config["env"]["LANGGRAPH_STRICT_MSGPACK"] == "true"
    assert config["checkpointer"]["serde"]["pickle_fallback"] is False


@pytest.mark.skipif(LANGGRAPH is None, reason="langgraph-cli is not installed: the extra [studio] has it")
async def test_langgraph_dev_answers_a_conversation(backend: Backend, tmp_path: Path) -> None:
    backend.script = talking
    with reserved_port() as port, developing(backend, tmp_path, port) as url:
        client = get_client(url=url)
        thread = (await client.threads.create())["thread_id"]
        events = list[dict[str, Any]]()
        for question in ("First question?", "Second question?"):
            asking = {"messages": [{"role": "user", "content": question}]}
            async for part in client.runs.stream(thread, "multiplex", input=asking, stream_mode=["custom", "values"]):
                assert part.event != "error", part.data
                if part.event == "custom":
                    events.append(part.data)
        kept: Any = (await client.threads.get_state(thread))["values"]
        await client.aclose()
    finished = [event["perspective"] for event in events if event["type"] == "voice.finished"]
    assert sorted(finished) == sorted(Council.load().perspectives * 2)
    assert [message["type"] for message in kept["messages"]] == ["human", "ai"] * 2
    assert kept["question"] == "Both together?"
    assert {voice["error"] for voice in kept["voices"]} == {None}
