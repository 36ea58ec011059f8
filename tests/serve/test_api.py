"""A council as a model: through OpenAI's own client, LangChain's, and plain HTTP."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from langchain_openai import ChatOpenAI
from openai import OpenAI

from tests.backend import Backend, Body, Say, asked
from tests.serve.conftest import House
from tests.serve.server import KEY, Served, serving

TITLES = ("Western", "Islamic", "East Asian", "South Asian", "African", "Latin American", "Indigenous")
QUESTION = [{"role": "user", "content": "What do we owe the dead?"}]


def is_synthesis(body: Body) -> bool:
    return '<voice tradition="' in asked(body)


def script(body: Body, _: int) -> Say:
    if is_synthesis(body):
        return Say("Ubuntu shares the care. Zakat gives it an order.")
    return Say("Koreans greet elders first.")


@pytest.fixture
def served(house: House) -> Served:
    """The shared server, with a clean log."""
    house.backend.script = script
    house.served.errors.clear()
    return house.served


@pytest.fixture
def asks(house: House) -> Backend:
    """The backend of the shared server."""
    return house.backend


def client_of(served: Served, key: str = "none") -> OpenAI:
    return OpenAI(base_url=served.base_url, api_key=key, max_retries=0)


def events(response: httpx.Response) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: ")]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


def test_openai_client_lists_the_offers_and_finds_each(served: Served) -> None:
    with client_of(served) as client:
        names = [model.id for model in client.models.list()]
        assert names == ["multiplex", "contextual", "uniplex"]
        assert client.models.retrieve("multiplex").owned_by == "multiplex"


def test_openai_client_reads_a_whole_answer_with_its_voices_and_the_sum_of_all_calls(
    served: Served, asks: Backend
) -> None:
    with client_of(served) as client:
        done = client.chat.completions.create(model="multiplex", messages=QUESTION, seed=7)  # type: ignore[arg-type]
    message = done.choices[0].message
    assert message.content == "Ubuntu shares the care. Zakat gives it an order."
    thoughts = message.reasoning_content  # type: ignore[attr-defined]
    assert all(f"**{title}**" in thoughts for title in TITLES)
    assert "editorial constructions" in thoughts
    assert done.choices[0].finish_reason == "stop"
    assert len(asks.requests) == 8
    assert done.usage is not None
    assert done.usage.prompt_tokens == sum(len(asked(body).split()) for body in asks.requests)
    assert done.usage.completion_tokens == 7 * 4 + 9
    assert message.multiplex["seed"] == 7  # type: ignore[attr-defined]


def test_voices_stream_as_they_finish_and_the_synthesis_after_them(backend: Backend) -> None:
    def slow(body: Body, n: int) -> Say:
        late = "East Asian" in asked(body) and not is_synthesis(body)
        return Say(script(body, n).text, delay=0.8 if late else 0.05)

    backend.script = slow
    with serving(backend) as served, client_of(served) as client:
        stream = client.chat.completions.create(
            model="multiplex",
            messages=QUESTION,  # type: ignore[arg-type]
            stream=True,
            stream_options={"include_usage": True},
        )
        kinds, thoughts, content, usage = list[str](), "", "", None
        for chunk in stream:
            usage = chunk.usage or usage
            for choice in chunk.choices:
                thought = getattr(choice.delta, "reasoning_content", None)
                if thought:
                    kinds.append("late" if "**East Asian**" in thought else "thought")
                    thoughts += thought
                if choice.delta.content:
                    kinds.append("content")
                    content += choice.delta.content
    assert content == "Ubuntu shares the care. Zakat gives it an order."
    assert kinds[0] == "thought"
    assert kinds.index("late") == kinds.index("content") - 1
    assert thoughts.index("**African**") < thoughts.index("**East Asian**")
    assert usage is not None
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert usage.completion_tokens == 7 * 4 + 9


def test_the_first_event_comes_before_any_voice_has_spoken(backend: Backend) -> None:
    backend.script = lambda body, n: Say(delay=1.0)
    body = {"model": "multiplex", "messages": QUESTION, "stream": True}
    with (
        serving(backend) as served,
        httpx.Client(timeout=30) as client,
        client.stream("POST", f"{served.base_url}/chat/completions", json=body) as response,
    ):
        lines = (line for line in response.iter_lines() if line)
        first = json.loads(next(lines).removeprefix("data: "))
        opening = json.loads(next(lines).removeprefix("data: "))
        assert first["choices"][0]["delta"]["role"] == "assistant"
        assert opening["choices"][0]["delta"]["reasoning_content"].startswith("7 voices are asked: Western")
        assert backend.times == []  # no call has been answered yet


def test_langchain_uses_a_council_as_a_chat_model(served: Served) -> None:
    model = ChatOpenAI(model="multiplex", base_url=served.base_url, api_key="none")  # type: ignore[arg-type]
    assert model.invoke("What do we owe the dead?").text == "Ubuntu shares the care. Zakat gives it an order."
    assert "".join(chunk.text for chunk in model.stream("And the living?")).startswith("Ubuntu shares the care.")


def test_a_council_of_the_configuration_is_a_model(backend: Backend, tmp_path: Path) -> None:
    backend.script = script
    config = tmp_path / "config.toml"
    config.write_text('[councils]\nelders = ["islamic", "african"]\n')
    with serving(backend, env={"MULTIPLEX_CONFIG": str(config)}) as served:
        thoughts = served.chat(model="multiplex/elders").json()["choices"][0]["message"]["reasoning_content"]
        names = [model["id"] for model in httpx.get(f"{served.base_url}/models").json()["data"]]
        assert httpx.get(f"{served.base_url}/models/multiplex/elders").json()["id"] == "multiplex/elders"
    assert names[-1] == "multiplex/elders"
    assert "**Islamic**" in thoughts
    assert "**Western**" not in thoughts
    assert len(backend.requests) == 3


def test_uniplex_is_the_conversation_as_it_stands(served: Served, asks: Backend) -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is zakat?"},
        {"role": "assistant", "content": "Alms."},
        {"role": "user", "content": [{"type": "text", "text": "Who receives it?"}]},
    ]
    done = served.chat(model="uniplex", messages=messages).json()
    assert asks.requests[0]["messages"] == [
        *messages[:3],
        {"role": "user", "content": "Who receives it?"},
    ]
    assert "reasoning_content" not in done["choices"][0]["message"]


def test_contextual_puts_its_principles_before_the_conversation(served: Served, asks: Backend) -> None:
    served.chat(model="contextual")
    roles = [message["role"] for message in asks.requests[0]["messages"]]
    assert roles == ["system", "user"]


def test_earlier_turns_become_one_question_that_stands_alone(served: Served, asks: Backend) -> None:
    def folding(body: Body, n: int) -> Say:
        if "<conversation>" in asked(body):
            return Say("What do the living owe the dead of other peoples?")
        return script(body, n)

    asks.script = folding
    messages = [*QUESTION, {"role": "assistant", "content": "Memory."}, {"role": "user", "content": "And of others?"}]
    served.chat(messages=messages)
    assert len(asks.requests) == 9
    voices = [body for body in asks.requests[1:] if not is_synthesis(body)]
    assert len(voices) == 7
    assert all("owe the dead of other peoples?" in asked(body) for body in voices)
    assert not any("Memory." in asked(body) for body in voices)


@pytest.mark.parametrize("wanted", ["multiplex", "multiplex/elders"])
def test_a_chat_apps_own_errands_are_one_plain_call(wanted: str, backend: Backend, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[councils]\nelders = ["islamic", "african"]\n')
    backend.script = lambda body, n: Say('{"title": "Duties to the dead"}')
    task = (
        "### Task:\nGenerate a concise, 3-5 word title with an emoji summarizing the chat history.\n"
        "### Chat History:\n<chat_history>\nUSER: What do we owe the dead?\n</chat_history>"
    )
    with serving(backend, env={"MULTIPLEX_CONFIG": str(config)}) as served:
        done = served.chat(task, model=wanted).json()
    assert done["choices"][0]["message"]["content"] == '{"title": "Duties to the dead"}'
    assert len(backend.requests) == 1
    assert backend.requests[0]["messages"] == [{"role": "user", "content": task}]


def test_what_the_request_fixes_reaches_the_model(served: Served, asks: Backend) -> None:
    fields = {"temperature": 0.1, "max_tokens": 50, "user": "pupil-7", "seed": 11, "top_k": 3, "tools": []}
    assert served.chat(**fields).status_code == 200
    first = next(body for body in asks.requests if is_synthesis(body))
    assert {body["temperature"] for body in asks.requests} == {0.1}
    assert {body["user"] for body in asks.requests} == {"pupil-7"}
    assert first["max_tokens"] == 50
    assert served.chat(**fields).status_code == 200
    again = [body for body in asks.requests if is_synthesis(body)][1]
    assert again["seed"] == first["seed"]
    assert again["messages"] == first["messages"]


def test_an_answer_that_the_limit_cuts_off_says_so(backend: Backend) -> None:
    backend.script = lambda body, n: Say("Ubuntu shares the", finish="length") if is_synthesis(body) else Say()
    with serving(backend) as served:
        choice = served.chat(max_tokens=3).json()["choices"][0]
    assert choice["finish_reason"] == "length"
    assert choice["message"]["content"] == "Ubuntu shares the"


@pytest.mark.parametrize("streamed", [False, True])
def test_measures_come_with_the_final_message_where_they_are_asked_for(served: Served, streamed: bool) -> None:
    response = served.chat(metadata={"measures": "true"}, stream=streamed)
    if streamed:
        last = [event for event in events(response) if event != "[DONE]"][-1]
        told = last["choices"][0]["delta"]["multiplex"]
        assert last["choices"][0]["finish_reason"] == "stop"
    else:
        told = response.json()["choices"][0]["message"]["multiplex"]
    assert told["measures"]["counts"]["african"] == 1
    assert told["measures"]["counts"]["islamic"] == 1
    assert set(told["kept"]["coverage"]) if "coverage" in told["kept"] else told["kept"]


def test_two_questions_of_one_thread_are_one_conversation(backend: Backend, tmp_path: Path) -> None:
    backend.script = lambda body, n: (
        Say("What do we owe the dead of others?") if "<conversation>" in asked(body) else script(body, n)
    )
    with serving(backend, "--memory", str(tmp_path / "memory.sqlite")) as served:
        served.chat(metadata={"thread_id": "class-7"})
        served.chat("And of others?", metadata={"thread_id": "class-7"})
        folded = [asked(body) for body in backend.requests if "<conversation>" in asked(body)]
        served.chat("And of others?", metadata={"thread_id": "class-8"})
        assert len([body for body in backend.requests if "<conversation>" in asked(body)]) == 1
    assert "What do we owe the dead?" in folded[0]
    assert "Ubuntu shares the care." in folded[0]


def test_threads_of_different_keys_are_kept_apart(backend: Backend, tmp_path: Path) -> None:
    backend.script = script
    keys = {"MULTIPLEX_API_KEYS": f"{KEY},another-key-for-the-tests"}
    with serving(backend, "--memory", str(tmp_path / "memory.sqlite"), env=keys) as served:
        for key in (KEY, "another-key-for-the-tests"):
            with client_of(served, key) as client:
                client.chat.completions.create(
                    model="multiplex",
                    messages=QUESTION,  # type: ignore[arg-type]
                    metadata={"thread_id": "mine"},
                )
    assert not any("<conversation>" in asked(body) for body in backend.requests)


def test_a_thread_needs_a_memory(served: Served, asks: Backend) -> None:
    response = served.chat(metadata={"thread_id": "class-7"})
    assert response.status_code == 400
    assert "--memory" in response.json()["error"]["message"]
    assert asks.requests == []


@pytest.mark.parametrize(
    ("fields", "status", "param"),
    [
        ({"model": "no-such"}, 404, "model"),
        ({"temperature": 3}, 400, "temperature"),
        ({"temperature": "hot"}, 400, "temperature"),
        ({"max_tokens": 0}, 400, "max_tokens"),
        ({"n": 2}, 400, "n"),
        ({"stream": "yes"}, 400, "stream"),
        ({"messages": []}, 400, "messages"),
        ({"metadata": {"measures": "perhaps"}}, 400, "metadata.measures"),
    ],
)
def test_a_wrong_field_is_refused_by_name(
    served: Served, asks: Backend, fields: dict[str, Any], status: int, param: str
) -> None:
    response = served.chat(**fields)
    error = response.json()["error"]
    assert response.status_code == status
    assert error["param"] == param
    assert error["type"] == "invalid_request_error"
    assert asks.requests == []


def test_metrics_count_questions_voices_and_tokens(backend: Backend) -> None:
    with serving(backend) as alone:
        alone.chat()
        alone.chat(model="uniplex")
        text = httpx.get(f"{alone.url}/metrics").text
    assert 'multiplex_requests_total{model="multiplex",outcome="ok"} 1.0' in text
    assert 'multiplex_requests_total{model="uniplex",outcome="ok"} 1.0' in text
    assert 'multiplex_voices_total{outcome="spoke",perspective="african"} 1.0' in text
    assert "multiplex_model_calls_total 9.0" in text
    assert "multiplex_councils_under_way 0.0" in text


def test_it_is_alive_and_ready(served: Served) -> None:
    assert httpx.get(f"{served.url}/healthz").text == "ok\n"
    ready = httpx.get(f"{served.url}/readyz")
    assert (ready.status_code, ready.text) == (200, "ready\n")


def test_a_log_line_tells_how_it_went_and_not_what_was_asked(served: Served) -> None:
    served.chat("Was wollen die Ahnen von uns?")
    line = _logged(served)
    assert line["model"] == "multiplex"
    assert line["outcome"] == "ok"
    assert line["usage"]["calls"] == 8
    assert not any("Ahnen" in text for text in served.errors)


def _logged(served: Served) -> dict[str, Any]:
    for _ in range(100):
        for line in served.logs:
            if line["event"] == "question":
                return line
        time.sleep(0.05)
    raise AssertionError("no line was logged")
