"""The examples do what they say: their code runs, their settings name what the server offers."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import yaml

from tests.backend import Backend, Body, Say, asked, running
from tests.command import run
from tests.serve.server import Served, serving

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
COMPOSE = yaml.safe_load((EXAMPLES / "compose.yaml").read_text("utf-8"))
DOCKERFILE = (EXAMPLES / "Dockerfile").read_text("utf-8")
VOICES = ["Western", "Islamic", "East Asian", "South Asian", "African", "Latin American", "Indigenous"]
ANSWER = "Ubuntu shares the care. Zakat gives it an order."


def script(body: Body, _: int) -> Say:
    if '<voice tradition="' in asked(body):
        return Say(ANSWER)
    return Say(status=400) if "You speak from the Western tradition" in asked(body) else Say("Elders are heard first.")


def as_environment(backend: Backend) -> dict[str, str]:
    return {"MULTIPLEX_MODEL": "m", "MULTIPLEX_BASE_URL": backend.base_url, "MULTIPLEX_CHECK": "none"}


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """A server whose Western voice is always lost."""
    with running() as backend:
        backend.script = script
        with serving(backend) as server:
            yield server


def offered(served: Served) -> list[str]:
    return [model["id"] for model in httpx.get(f"{served.base_url}/models").json()["data"]]


def loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def stand_in(shown: list[tuple[str, str]]) -> Any:
    """As much of Chainlit as the example calls; what it would show is written down."""

    class Message:
        def __init__(self, content: str) -> None:
            self.content = content

        async def stream_token(self, token: str) -> None:
            self.content += token

        async def send(self) -> None:
            shown.append((type(self).__name__, self.content))

    class ErrorMessage(Message):
        pass

    class Step:
        def __init__(self, name: str, **_: object) -> None:
            self.name, self.output = name, ""

        async def __aenter__(self) -> Step:
            return self

        async def __aexit__(self, *_: object) -> None:
            shown.append((self.name, self.output))

    history = SimpleNamespace(to_openai=lambda: [{"role": "user", "content": "What do we owe our elders?"}])
    return SimpleNamespace(
        Message=Message, ErrorMessage=ErrorMessage, Step=Step, chat_context=history, on_message=lambda handler: handler
    )


async def told_by_chainlit(url: str, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    shown: list[tuple[str, str]] = []
    monkeypatch.setitem(sys.modules, "chainlit", stand_in(shown))
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    example = loaded("chainlit_app")
    async with example.client:
        await example.on_message(None)
    return shown


async def test_the_chainlit_app_shows_every_voice_as_a_step_and_then_the_answer(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *voices, last = await told_by_chainlit(served.base_url, monkeypatch)
    assert first[0] == "a council"
    assert "they represent no people" in first[1]
    assert {name for name, _ in voices} == {f"the {title} voice" for title in VOICES}
    assert dict(voices)["the African voice"] == "Elders are heard first."
    assert dict(voices)["the Western voice"].startswith("Lost: ")
    assert last[0] == "Message"
    assert ANSWER in last[1]


async def test_the_chainlit_app_shows_why_there_is_no_answer(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    backend.script = lambda body, n: Say(status=401)
    with serving(backend) as broken:
        shown = await told_by_chainlit(broken.base_url, monkeypatch)
    assert [name for name, _ in shown if name.endswith("Message")] == ["ErrorMessage"]
    assert "401" in shown[-1][1]


def test_the_chainlit_app_has_at_most_forty_lines() -> None:
    assert len((EXAMPLES / "chainlit_app.py").read_text("utf-8").splitlines()) <= 40


async def test_the_route_answers_measures_and_says_who_was_lost(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.script = script
    for name, value in as_environment(backend).items():
        monkeypatch.setenv(name, value)
    app = loaded("fastapi_route").app
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
        done = await client.post("/answers", json={"question": "What do we owe our elders?"})
        empty = await client.post("/answers", json={"question": " "})
        backend.script = lambda body, n: Say(status=401)
        refused = await client.post("/answers", json={"question": "What do we owe our elders?"})
    assert done.status_code == 200
    assert ANSWER in done.json()["answer"]
    assert done.json()["lost"] == ["western"]
    shares = done.json()["measures"]["shares"]
    assert (shares["african"], shares["islamic"]) == (0.5, 0.5)
    assert (empty.status_code, refused.status_code) == (422, 502)
    assert "401" in refused.json()["detail"]


def test_the_outer_graph_sends_a_question_of_value_to_the_council_and_no_other(backend: Backend) -> None:
    backend.script = script
    command = [sys.executable, str(EXAMPLES / "subgraph.py")]
    env = {**os.environ, **as_environment(backend)}
    value = subprocess.run(
        [*command, "What do we owe our elders?"], capture_output=True, text=True, timeout=120, env=env
    )
    assert value.returncode == 0, value.stderr
    assert ANSWER in value.stdout
    assert {"African has spoken", "East Asian has spoken", "Western is lost"} == set(
        re.findall(r"^.+? (?:has spoken|is lost)", value.stderr, re.MULTILINE)
    )
    calls = len(backend.requests)
    other = subprocess.run([*command, "What time is it?"], capture_output=True, text=True, timeout=120, env=env)
    assert other.stdout == "This desk takes questions of value only.\n", other.stderr
    assert len(backend.requests) == calls


def is_where_it_listens(url: str) -> bool:
    """Whether a setting's address has the server's default port and the API's path."""
    port = re.search(r"--port .*?default: (\d+)", run("serve", "--help", env={"COLUMNS": "300"}).stdout)
    parts = urlsplit(url)
    return port is not None and (parts.scheme, parts.port, parts.path) == ("http", int(port[1]), "/v1")


def test_open_webui_is_told_of_the_server_and_of_models_that_it_offers(served: Served) -> None:
    file = EXAMPLES / "open-webui" / "open-webui.env"
    told = subprocess.run(
        ["sh", "-euc", f"set -a; . {file}; exec env"], capture_output=True, text=True, check=True, env={}
    )
    settings = dict(line.split("=", 1) for line in told.stdout.splitlines())
    assert is_where_it_listens(settings["OPENAI_API_BASE_URLS"])
    assert settings["DEFAULT_MODELS"] == "multiplex"
    assert settings["TASK_MODEL_EXTERNAL"] == "uniplex"
    assert {settings["DEFAULT_MODELS"], settings["TASK_MODEL_EXTERNAL"]} <= set(offered(served))


def test_librechat_is_told_of_the_server_its_models_and_where_the_voices_stand(served: Served) -> None:
    settings = yaml.safe_load((EXAMPLES / "librechat" / "librechat.yaml").read_text("utf-8"))
    (endpoint,) = settings["endpoints"]["custom"]
    assert is_where_it_listens(endpoint["baseURL"])
    assert endpoint["models"]["default"] == offered(served)
    assert endpoint["titleModel"] == "uniplex"
    streamed = served.chat(stream=True).text.splitlines()
    chunks = [json.loads(line[6:]) for line in streamed if line.startswith("data: {")]
    key = endpoint["customParams"]["reasoningKey"]
    thought = "".join(choice["delta"].get(key, "") for chunk in chunks for choice in chunk["choices"])
    assert "**African**" in thought


def test_compose_starts_the_server_with_flags_that_there_are_and_no_secret() -> None:
    server, memory = COMPOSE["services"]["server"], COMPOSE["services"]["memory"]
    command = server["command"]
    flags = {word for word in command if word.startswith("--")}
    known = run("serve", "--help", env={"COLUMNS": "300"}).stdout
    assert command[0] == "serve"
    assert flags
    assert all(f"{flag} " in known for flag in flags)
    place = urlsplit(command[command.index("--memory") + 1])
    assert (place.scheme, place.password) == ("postgresql", None)
    assert place.hostname in COMPOSE["services"]
    assert (place.username, place.path[1:]) == tuple(
        memory["environment"][name] for name in ("POSTGRES_USER", "POSTGRES_DB")
    )
    assert int(server["stop_grace_period"].removesuffix("s")) > float(command[command.index("--grace") + 1])
    assert server["depends_on"]["memory"]["condition"] == "service_healthy"
    for service in (server, memory):
        assert service["healthcheck"]["test"][0] == "CMD"
        for name, value in service["environment"].items():
            assert value.startswith("${") or not re.search("KEY|PASSWORD|SECRET", name), name
    assert all(port.startswith("127.0.0.1:") for port in server["ports"])


def test_the_image_holds_what_the_server_needs_and_looks_after_itself(served: Served) -> None:
    build = COMPOSE["services"]["server"]["build"]
    assert (EXAMPLES / build["context"] / build["dockerfile"]).samefile(EXAMPLES / "Dockerfile")
    sources = [words.split()[:-1] for words in re.findall(r"^COPY (?!--)(.+)$", DOCKERFILE, re.MULTILINE)]
    copied = {name for names in sources for name in names}
    assert all((ROOT / name).exists() for name in copied)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert {"pyproject.toml", project["project"]["readme"], *wheel["packages"], *wheel["force-include"]} <= copied
    assert "serve" in project["project"]["optional-dependencies"]
    assert re.search(r'pip install -c constraints.txt "\.\[serve\]"', DOCKERFILE)
    probes = re.findall(r"http://127\.0\.0\.1:8000(/\w+)", DOCKERFILE + json.dumps(COMPOSE))
    assert len(probes) == 2
    assert {httpx.get(served.url + path).status_code for path in probes} == {200}


def test_docker_reads_the_compose_file() -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True).returncode != 0:
        pytest.skip("`docker compose` is not installed here")
    names = ("MULTIPLEX_MODEL", "MULTIPLEX_BASE_URL", "MULTIPLEX_API_KEYS", "POSTGRES_PASSWORD")
    command = [docker, "compose", "-f", str(EXAMPLES / "compose.yaml"), "config", "--format", "json"]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **dict.fromkeys(names, "x")}, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)["services"]) == {"server", "memory"}
    without = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ), timeout=60)
    assert without.returncode != 0


def test_the_list_of_examples_is_whole_and_its_flags_are_there() -> None:
    text = (EXAMPLES / "README.md").read_text("utf-8")
    files = {path.name for path in EXAMPLES.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert {name for name in files if name not in text} == {"README.md"}
    known = run("serve", "--help", env={"COLUMNS": "300"}).stdout
    assert all(f"{flag} " in known for flag in re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))
