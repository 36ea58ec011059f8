"""The essay: a capable model's answer by the points on which the voices part."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from multiplex.content import marked_prompt, prompt
from multiplex.council.answer import Synthesis, Voice
from multiplex.council.events import Emit, SynthesisDelta, SynthesisRestarted
from multiplex.council.seeds import call_seed
from multiplex.errors import CallError, MultiplexError
from multiplex.llm.chat import Chat
from multiplex.llm.types import Call
from multiplex.llm.usage import Usage, set_spent, spent_on
from multiplex.text.marks import Marks, as_data, make_marks

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

TAG = "multiplex:synthesis"
TOKENS_A_WORD = 1.8  # generous for English; a smaller limit of tokens asks for fewer words
LISTED = 0.5  # share of the words that stand in list items: from here on a text is a list
HEADINGS = 5  # three are asked for; more than this is an outline and no essay
_LIST = re.compile(r"^\s*(?:[-*•–]|\d+[.)])\s+(\S.*)$", re.MULTILINE)
_HEADING = re.compile(r"^\s*(?:#{1,6}\s+(.+?)|\*\*([^*\n]{1,80}?)[.:]?\*\*:?)\s*$", re.MULTILINE)
_AGAIN = frozenset({"empty", "cut_off"})  # a call that failed so may succeed when it is told why


class NoEssayError(MultiplexError):
    """Neither reply has the form of an essay; `usage` is what they took."""

    def __init__(self, message: str, usage: Usage) -> None:
        super().__init__(message)
        self.usage = usage


@dataclass(frozen=True)
class Material:
    """What an essay is made of.

    Attributes:
        question: as it stands alone.
        voices: those that spoke, in the order in which they are given.
        seed, secret: what the marks round them are made with (`make_marks`).
    """

    question: str
    voices: tuple[Voice, ...]
    seed: int = 0
    secret: str | None = None

    def marks(self, *more: str) -> Marks:
        """The marks of a prompt that holds the question, the voices and `more`."""
        return make_marks(self.secret, self.seed, self.question, *(voice.text for voice in self.voices), *more)

    def blocks(self, marks: Marks) -> dict[str, str]:
        """The fields `question` and `voices` of a prompt: data between marks."""
        voices = "\n\n".join(marks.enclose("voice", voice.text, tradition=voice.title) for voice in self.voices)
        return {"question": marks.enclose("question", self.question), "voices": marks.wrap("voices", voices)}


def essay_words(chat: Chat) -> tuple[int, int]:
    """The least and the most words to ask for; fewer where the reply is limited to less."""
    (low, high), limit = chat.spec.words, chat.spec.synthesis_tokens
    if limit is None or limit >= high * TOKENS_A_WORD:
        return low, high
    most = max(50, int(limit / TOKENS_A_WORD) // 10 * 10)
    return min(low, most * 3 // 40 * 10), most


def essay_messages(material: Material, words: tuple[int, int], again: str = "") -> list[BaseMessage]:
    """The essay's prompt: rules as system message, then the material; `again` says why a first reply was no use."""
    from langchain_core.messages import HumanMessage, SystemMessage

    low, high = map(str, words)
    marks = material.marks()
    asked = marked_prompt("essay_voices", marks, **material.blocks(marks), low=low, high=high)
    if again:
        asked += "\n\n" + prompt("again", reason=as_data(again), low=low, high=high)
    return [SystemMessage(prompt("essay", low=low, high=high)), HumanMessage(asked)]


async def write_essay(material: Material, chat: Chat, seed: int, emit: Emit) -> Synthesis:
    """The essay, asked for once more where the first reply has not the form of one.

    It is streamed only where no check follows.

    Raises:
        CallError: the call failed for good.
        NoEssayError: neither reply has the form of an essay.
    """
    words, streamed = essay_words(chat), chat.spec.check == "none"
    usage, fault = Usage(), ""
    for attempt in (1, 2):
        call = Call(
            max_tokens=chat.spec.synthesis_tokens,
            seed=call_seed(seed, "synthesis", *([attempt] if attempt > 1 else [])),
            tags=(TAG,) if streamed else (TAG, "nostream"),
        )
        try:
            reply = await chat.complete(
                essay_messages(material, words, fault),
                call,
                on_delta=(lambda piece: emit(SynthesisDelta(text=piece))) if streamed else None,
                on_retry=lambda error: emit(SynthesisRestarted(reason=str(error))),
            )
        except CallError as error:
            if error.kind not in _AGAIN or attempt > 1:
                set_spent(error, usage + spent_on(error))
                raise
            fault = str(error)
            usage += spent_on(error)
        else:
            usage += reply.usage
            ended = reply.cut and chat.spec.synthesis_tokens is not None  # by a limit that was asked for
            fault = find_fault(reply.text, [v.title for v in material.voices], cut=reply.cut and not ended)
            if not fault:
                notes = ["the essay was cut off at its token limit"] if ended else []
                note = "; ".join([*notes, *reply.notes]) or None
                shown = reply.message_id if streamed else None
                return Synthesis(text=reply.text, usage=usage, note=note, cut=reply.cut, message_id=shown)
        emit(SynthesisRestarted(reason=f"the essay could not be used: {fault}"))
    raise NoEssayError(f"no essay in two attempts: {fault}", usage)


def find_fault(text: str, titles: Sequence[str], *, cut: bool = False) -> str:
    """Why a text is no essay by points, in one line; empty where nothing speaks against it."""
    if not text.strip():
        return "it is empty"
    if cut:
        return "it breaks off before its end"
    if sum(len(item.split()) for item in _LIST.findall(text)) >= LISTED * len(text.split()):
        return "it is a list and no connected prose"
    if len(_HEADING.findall(text)) > HEADINGS:
        return f"it has {len(_HEADING.findall(text))} headings"
    leads = [_lead(block) for block in re.split(r"\n\s*\n", text)]
    told = {title for title in titles for lead in leads if _opens_with(lead, title)}
    if len(titles) > 2 and len(told) > len(titles) / 2:
        return "it goes from tradition to tradition and not from point to point"
    return ""


def _lead(block: str) -> str:
    """The beginning of a paragraph or heading, without marks."""
    return re.sub(r"^[\s#*_>\-\d.]+", "", block)[:60].casefold()


def _opens_with(lead: str, title: str) -> bool:
    """Whether a paragraph announces a tradition: "Islamic.", "The Islamic tradition", "From an Islamic perspective"."""
    name = re.escape(title.casefold())
    return bool(
        re.match(
            rf"(?:the |from an? |in the |for the )?{name}"
            r"(?:\W*$|[.:*—–]| (?:tradition|perspective|voice|view|thought))",
            lead,
        )
    )
