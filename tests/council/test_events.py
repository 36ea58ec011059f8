from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from multiplex.council.answer import Cited, Finding, Voice
from multiplex.council.events import (
    AnswerDelta,
    EndState,
    Event,
    SynthesisChecked,
    SynthesisRestarted,
    VoiceDelta,
    VoiceFailed,
    VoiceFinished,
    follow,
)
from multiplex.llm.usage import Usage

ABOUT: dict[str, Any] = {"persona": "african", "perspective": "african", "title": "African", "round": 2}
CITED = Cited(id="kin", says="Kin share care.", whose="many", source="A. Author, A Work (1990)", places=(9,))
SPOKE = Voice(
    **ABOUT, model="m", text="Kin care.", positions=(CITED,), quoted=((0, 3),), usage=Usage(calls=1), digest="d"
)
LOST = Voice(**ABOUT, model="m", error="no reply", error_kind="timeout", usage=Usage(calls=2, output_tokens=None))
FOUND = Finding(by="text", kind="name", quote="Foucault"), Finding(by="text", kind="unmet", state="dismissed")
OF_A_VOICE = {"type", "strategy", "persona", "perspective", "title", "round", "seconds"}
SAID = {"text", "usage", "note", "positions", "quoted", "scaffold", "asks"}


class Graph:
    """Streams what it is given, as a compiled graph does."""

    def __init__(self, *events: Mapping[str, Any]) -> None:
        self._events = events

    async def astream(self, given: Any, stream_mode: list[str]) -> AsyncIterator[tuple[str, Any]]:
        yield "values", given
        if "custom" in stream_mode:
            for event in self._events:
                yield "custom", event
        yield "values", {"seed": 7}


@pytest.mark.parametrize(
    ("event", "fields"),
    [
        (VoiceDelta(**ABOUT, tokens=3), OF_A_VOICE - {"seconds"} | {"tokens"}),
        (VoiceFinished(voice=SPOKE), OF_A_VOICE | SAID),
        (VoiceFailed(voice=LOST), OF_A_VOICE | {"error", "usage"}),
        (SynthesisChecked(findings=FOUND), {"type", "strategy", "findings"}),
        (SynthesisRestarted(reason="cut off", failed=True), {"type", "strategy", "reason", "failed"}),
        (AnswerDelta(strategy="contextual", text="\n"), {"type", "strategy", "text"}),
    ],
)
async def test_an_event_goes_through_the_custom_stream_as_a_flat_dict_and_comes_out_as_it_was(
    event: Event, fields: set[str]
) -> None:
    flat = event.model_dump(mode="json")
    assert fields <= flat.keys()
    assert "voice" not in flat
    graph: Any = Graph(flat)
    assert [each async for each in follow(graph, {})] == [event, EndState({"seed": 7})]
    assert [each async for each in follow(graph, {}, events=False)] == [EndState({"seed": 7})]


def test_a_finding_that_was_dismissed_asks_for_no_revision() -> None:
    assert SynthesisChecked(findings=FOUND).open == 1
