from __future__ import annotations

from typing import Any

from multiplex.council import controls
from multiplex.council.answer import Answer
from multiplex.council.personas import Council
from multiplex.council.planning import NEAR_POSITIONS
from multiplex.council.similarity import nearest_positions
from multiplex.llm.chat import Chat
from multiplex.llm.spec import ModelSpec, parse_spec
from tests.backend import Backend, Body, Say, asked

QUESTION = "What do we owe the dead?"


def spec(backend: Backend) -> ModelSpec:
    return parse_spec("m", backend.base_url).model_copy(update={"check": "none"})


async def answered(control: Any, chat: Chat, **options: Any) -> Answer:
    try:
        answer = await control(QUESTION, chat, 7, lambda _: None, **options)
    finally:
        await chat.aclose()
    assert isinstance(answer, Answer)
    return answer


async def test_the_checklist_is_one_call_that_names_every_perspective_and_the_length(backend: Backend) -> None:
    answer = await answered(controls.checklist, Chat(spec(backend)), council=Council.load(), words=430)
    [request] = backend.requests
    assert answer.strategy == "checklist"
    assert answer.prompt == request["messages"][0]["content"]
    assert "about 430 words" in answer.prompt
    assert all(persona.title in answer.prompt for persona in Council.load().personas)
    assert request["messages"][1]["content"] == QUESTION


async def test_uniplex_long_says_nothing_but_the_question_and_the_length(backend: Backend) -> None:
    answer = await answered(controls.uniplex_long, Chat(spec(backend)), words=430)
    [request] = backend.requests
    assert [message["role"] for message in request["messages"]] == ["user"]
    assert request["messages"][0]["content"] == f"{QUESTION}\n\nAnswer in about 430 words."
    assert answer.prompt == ""


async def test_a_model_of_short_answers_may_write_as_long_as_it_is_asked_to(backend: Backend) -> None:
    small = spec(backend).model_copy(update={"answer_tokens": 200})
    await answered(controls.uniplex_long, Chat(small), words=430)
    assert backend.requests[0]["max_tokens"] == 774


async def test_the_solo_council_is_one_call_that_holds_what_every_voice_is_given(backend: Backend) -> None:
    answer = await answered(controls.solo_council, Chat(spec(backend)), council=Council.load())
    assert len(backend.requests) == 1
    near = nearest_positions(QUESTION, Council.load().personas, NEAR_POSITIONS)
    for persona in Council.load().personas:
        assert persona.title in answer.prompt
        assert near[persona.name]
        assert all(position.says in answer.prompt for position in near[persona.name])
    assert "put its number behind it" not in answer.prompt


async def test_the_echo_council_is_one_persona_in_every_place_through_the_same_synthesizer(backend: Backend) -> None:
    backend.script = _numbered
    answer = await answered(controls.echo_council, Chat(spec(backend)), council=Council.load())
    voices, synthesis = backend.requests[:7], backend.requests[7]
    assert answer.strategy == "echo-council"
    assert len({request["messages"][0]["content"] for request in voices}) == 1
    assert len({request["seed"] for request in voices}) == 7
    assert [voice.title for voice in answer.voices] == [f"Western {i}" for i in range(1, 8)]
    assert all(f'tradition="Western {i}"' in asked(synthesis) for i in range(1, 8))


async def test_a_council_without_a_western_persona_echoes_its_first(backend: Backend) -> None:
    council = Council.load("african", "islamic")
    answer = await answered(controls.echo_council, Chat(spec(backend)), council=council)
    assert [voice.perspective for voice in answer.voices] == ["african_1", "african_2"]


async def test_the_blank_council_is_given_no_persona_and_no_tradition(backend: Backend) -> None:
    backend.script = _numbered
    answer = await answered(controls.blank_council, Chat(spec(backend)), council=Council.load())
    voices = backend.requests[:7]
    assert len(backend.requests) == 8
    for request in voices:
        assert [message["role"] for message in request["messages"]] == ["user"]
        assert "tradition" not in asked(request)
    assert len(answer.voices) == 7
    assert not answer.lost


async def test_each_reply_of_a_voice_that_stands_in_the_ledger_is_not_asked_for_again(backend: Backend) -> None:
    backend.script = _numbered
    ledger = _Memory()
    first = await answered(controls.blank_council, Chat(spec(backend)).recorded(ledger), council=Council.load())
    again = await answered(controls.blank_council, Chat(spec(backend)).recorded(ledger), council=Council.load())
    assert len(backend.requests) == 8
    assert again.text == first.text
    assert [voice.text for voice in again.voices] == [voice.text for voice in first.voices]
    assert again.usage == first.usage


class _Memory:
    """A ledger without a disk."""

    def __init__(self) -> None:
        self.replies: dict[str, Any] = {}

    async def begin(self, key: str) -> Any:
        return self.replies.get(key)

    async def admit(self, key: str) -> None:
        pass

    async def keep(self, key: str, reply: Any) -> None:
        self.replies[key] = reply

    async def fail(self, key: str, error: Exception, seconds: float, attempts: int) -> None:
        raise AssertionError(f"{key} failed after {attempts} attempts in {seconds} s") from error


def _numbered(body: Body, _: int) -> Say:
    return Say(f"Voice of seed {body.get('seed')}. Some would disagree. Consider the young.")
