"""The composed answer: positions of the sourcebook, word for word, arranged by how near their statements stand.

No model writes in it but for the questions to the reader; which voices stand close and which far apart is told by
embeddings, and disagreement inside a tradition by the sourcebook.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Literal

from multiplex.council.answer import Span, Synthesis, Voice
from multiplex.council.events import Emit, SynthesisDelta
from multiplex.council.locales import Locale
from multiplex.council.similarity import closest_and_furthest
from multiplex.llm.usage import Usage


class Draft:
    """A text as it grows, which remembers what in it is scaffold or quoted and streams every piece."""

    def __init__(self, emit: Emit) -> None:
        self.text = ""
        self.scaffold: list[Span] = []
        self.quoted: list[Span] = []
        self._emit = emit

    def write(self, piece: str, *, scaffold: bool = False) -> None:
        """Append a piece; `scaffold` marks it as written by our code."""
        if scaffold and piece:
            self.scaffold.append((len(self.text), len(self.text) + len(piece)))
        self.text += piece
        self._emit(SynthesisDelta(text=piece))

    def write_voice(self, voice: Voice, until: int | None = None) -> None:
        """Append a voice's text, or its beginning, with what in it is scaffold or quoted."""
        start, text = len(self.text), voice.text[:until]
        self.scaffold += _moved(voice.scaffold, start, len(text))
        self.quoted += _moved(voice.quoted, start, len(text))
        self.write(text)

    def finish(self, form: Literal["composed", "voices"], usage: Usage, note: str | None = None) -> Synthesis:
        """The synthesis, whole."""
        return Synthesis(
            text=self.text, form=form, scaffold=tuple(self.scaffold), quoted=tuple(self.quoted), usage=usage, note=note
        )


def _moved(spans: Sequence[Span], by: int, length: int) -> list[Span]:
    return [(start + by, min(end, length) + by) for start, end in spans if start < length]


async def compose(spoken: Sequence[Voice], emit: Emit, locale: Locale) -> Synthesis:
    """The voices' positions: the two nearest to each other, the two furthest apart, the others; then what they ask."""
    draft = Draft(emit)
    stated = [voice for voice in spoken if voice.states]
    silent = [voice for voice in spoken if not voice.states]
    if not stated:
        draft.write(locale.say("nothing_near"), scaffold=True)
        return draft.finish("composed", Usage())
    for heading, voices in await asyncio.to_thread(_arranged, stated, locale):
        draft.write(("\n\n" if draft.text else "") + f"## {heading}", scaffold=True)
        for voice in voices:
            draft.write(f"\n\n{lead(voice, locale)} ", scaffold=True)
            draft.write_voice(voice, _before_question(voice))
    if silent:
        draft.write(name_silent(silent, locale), scaffold=True)
    asking = [voice for voice in stated if voice.asks]
    if asking:
        draft.write(f"\n\n## {locale.say('asks')}\n", scaffold=True)
    for voice in asking:
        draft.write(f"\n- **{locale.title(voice.title)}:** ", scaffold=True)
        draft.write(voice.asks or "")
    return draft.finish("composed", Usage())


def name_silent(voices: Sequence[Voice], locale: Locale) -> str:
    """A paragraph that names the voices whose sourcebook holds nothing near the question."""
    return f"\n\n*{locale.say('silent', voices=locale.title_list(voice.title for voice in voices))}*"


def lead(voice: Voice, locale: Locale) -> str:
    """What stands before a voice's words: its title."""
    return f"**{locale.say('voice_lead', voice=locale.title(voice.title))}**"


def _arranged(voices: Sequence[Voice], locale: Locale) -> list[tuple[str, list[Voice]]]:
    """Headings with their voices, each voice once: pairs that share one are told under a heading of their own."""
    if len(voices) < 3:
        return [(locale.say("on_record"), list(voices))]
    near, far = closest_and_furthest([_statement(voice) for voice in voices])
    told = [(locale.say("nearest"), [voices[i] for i in near])]
    apart = [voices[i] for i in far if i not in near]
    first, second = (locale.title(voices[i].title) for i in far)
    told.append((locale.say("furthest", first=first, second=second), apart))
    told.append((locale.say("beside"), [voice for i, voice in enumerate(voices) if i not in (*near, *far)]))
    return [(heading, those) for heading, those in told if those]


def _statement(voice: Voice) -> str:
    return voice.positions[0].says if voice.positions else voice.text


def _before_question(voice: Voice) -> int:
    """Where the positions end and the question to the reader begins."""
    return len(voice.text) - len(f"\n\n{voice.asks}") if voice.asks else len(voice.text)
