"""What happens while a question is answered: one union of frozen models, for whoever watches.

Inside the package an event is always an `Event`. In LangGraph's stream mode `custom`, which other programs read, it is
a plain dict of the same fields with `type` and `strategy`; `voice.finished` and `voice.failed` hold the fields of their
`Voice` beside those two. Events become dicts in `writer` alone, and dicts become events in `follow` alone.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_serializer, model_validator

from multiplex.council.answer import Finding, Voice

if TYPE_CHECKING:
    from langgraph.graph.state import CompiledStateGraph
    from pydantic import SerializerFunctionWrapHandler


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True)


class _OfCouncil(_Event):
    strategy: Literal["multiplex"] = "multiplex"


class VoiceStarted(_OfCouncil):
    """A persona is asked, in a round counted from 1."""

    type: Literal["voice.started"] = "voice.started"
    persona: str
    perspective: str
    title: str
    round: int


class VoiceQuoted(_OfCouncil):
    """`says` is the position of the sourcebook that a small model's voice will show."""

    type: Literal["voice.quoted"] = "voice.quoted"
    persona: str
    perspective: str
    says: str


class VoiceDelta(_OfCouncil):
    """A voice grew: `tokens` counts the pieces received so far."""

    type: Literal["voice.delta"] = "voice.delta"
    persona: str
    perspective: str
    title: str
    round: int
    tokens: int


class _VoiceEnded(_OfCouncil):
    voice: Voice

    @model_validator(mode="before")
    @classmethod
    def _read_flat(cls, given: Any) -> Any:
        """Take the voice's fields beside `type` and `strategy`, as the stream has them."""
        if not isinstance(given, Mapping) or "voice" in given:
            return given
        return {name: given[name] for name in ("type", "strategy") if name in given} | {"voice": given}

    @model_serializer(mode="wrap")
    def _write_flat(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written = write(self)
        voice = written.pop("voice")
        return {**written, **voice}


class VoiceFinished(_VoiceEnded):
    """A persona has spoken."""

    type: Literal["voice.finished"] = "voice.finished"


class VoiceFailed(_VoiceEnded):
    """A voice is lost; its `error` says why."""

    type: Literal["voice.failed"] = "voice.failed"


class SynthesisStarted(_OfCouncil):
    """The voices have spoken."""

    type: Literal["synthesis.started"] = "synthesis.started"


class SynthesisDrafted(_OfCouncil):
    """An essay of so many words is now read against its voices."""

    type: Literal["synthesis.drafted"] = "synthesis.drafted"
    words: int


class SynthesisChecked(_OfCouncil):
    """What the check found; where a finding is open, a revision follows."""

    type: Literal["synthesis.checked"] = "synthesis.checked"
    findings: tuple[Finding, ...]

    @property
    def open(self) -> int:
        """The number of findings that ask for a revision."""
        return sum(finding.state == "open" for finding in self.findings)


class SynthesisDelta(_OfCouncil):
    """The next piece of the answer, which has passed its check."""

    type: Literal["synthesis.delta"] = "synthesis.delta"
    text: str


class SynthesisRestarted(_OfCouncil):
    """The pieces before it are void; `failed` where the voices follow unconnected."""

    type: Literal["synthesis.restarted"] = "synthesis.restarted"
    reason: str
    failed: bool = False


class AnswerDelta(_Event):
    """The next piece of an answer of one call, where it is streamed."""

    type: Literal["answer.delta"] = "answer.delta"
    strategy: str
    text: str


class AnswerRestarted(_Event):
    """The pieces of a streamed answer before it are void."""

    type: Literal["answer.restarted"] = "answer.restarted"
    strategy: str
    reason: str


class Done(_Event):
    """A strategy's answer is whole. `emit` is told so; it stands in no stream of a graph."""

    type: Literal["done"] = "done"
    strategy: str
    text: str


Event = (
    VoiceStarted | VoiceQuoted | VoiceDelta | VoiceFinished | VoiceFailed
    | SynthesisStarted | SynthesisDrafted | SynthesisChecked | SynthesisDelta | SynthesisRestarted
    | AnswerDelta | AnswerRestarted | Done
)  # fmt: skip
Emit = Callable[[Event], None]
_EVENT: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="type")])


@dataclass(frozen=True)
class EndState:
    """What a graph's state holds when it has run."""

    values: Mapping[str, Any]


def silent(_: Event) -> None:
    """For answers that nobody watches."""


def writer() -> Emit:
    """The custom stream of the running LangGraph node; it is given each event as a plain dict."""
    from langgraph.config import get_stream_writer

    write = get_stream_writer()
    return lambda event: write(event.model_dump(mode="json"))


async def follow(
    graph: CompiledStateGraph[Any, Any, Any, Any], given: Mapping[str, Any], *, events: bool = True, **options: Any
) -> AsyncGenerator[Event | EndState]:
    """Run a graph of ours: its events as they come (none without `events`), and last of all its `EndState`.

    `options` are those of LangGraph's `astream`. Raises whatever the graph raises.
    """
    state: Mapping[str, Any] = {}
    modes: list[Any] = ["custom", "values"] if events else ["values"]
    stream: AsyncIterator[Any] = graph.astream(given, stream_mode=modes, **options)
    async for kind, data in stream:
        if kind == "custom":
            yield _EVENT.validate_python(data)
        else:
            state = data
    yield EndState(state)
