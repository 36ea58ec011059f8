"""The terminal: a live line per voice, the answer as it is written, and the comparison beneath it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from rich.console import Console, RenderableType
from rich.live import Live
from rich.markdown import Markdown
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from multiplex.answering import Result
from multiplex.council.answer import Voice
from multiplex.council.events import (
    Done,
    Event,
    SynthesisChecked,
    SynthesisDelta,
    SynthesisDrafted,
    SynthesisRestarted,
    SynthesisStarted,
    VoiceDelta,
    VoiceFailed,
    VoiceFinished,
    VoiceQuoted,
    VoiceStarted,
)
from multiplex.council.locales import locale_of
from multiplex.council.order import Order
from multiplex.evaluation import Retention
from multiplex.present.depth import READING
from multiplex.present.document import harm_lines
from multiplex.present.result import (
    closing,
    comparison,
    reading_order,
    retention_notes,
    retention_rows,
    shares,
    warnings,
)
from multiplex.present.stance import stance_lines
from multiplex.text.console import make_table, print_table
from multiplex.text.terminal import one_line

BAR = 24  # characters of a full share, fewer on a narrow terminal


@dataclass
class _Line:
    title: str
    state: str = "waiting"
    started: float = 0.0
    seconds: float | None = None
    tokens: int = 0
    said: str = ""


class Screen:
    """Shows events as they come. `console` is where the progress goes; `answers` where the answer is streamed.

    On a terminal both are the same and live; elsewhere progress is a plain line per voice, and nothing is streamed.
    """

    def __init__(self, console: Console, order: Order, *, stream: bool) -> None:
        self._console = console
        self._stream = stream and console.is_terminal
        titles = {persona.perspective: persona.title for persona in order.council.personas}
        single = [strategy for strategy in order.strategies if strategy != "multiplex"]
        self._lines = {p: _Line(t) for p, t in titles.items()} if "multiplex" in order.strategies else {}
        self._lines |= {strategy: _Line(f"({strategy})", "speaking", monotonic()) for strategy in single}
        self._live: Live | None = None
        self._written = ""
        self._answers: dict[str, str] = {}
        self.streamed = False

    def __enter__(self) -> Screen:
        self._show(self._table)
        return self

    def _show(self, live_part: Callable[[], RenderableType]) -> None:
        """Let this be the live part at the foot of the terminal, redrawn as time passes."""
        if self._live is not None:
            self._live.stop()
        if self._console.is_terminal:
            self._live = Live(get_renderable=live_part, console=self._console, refresh_per_second=8, transient=True)
            self._live.start()

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def hear(self, event: Event) -> None:
        """Take in one event of council/events.py."""
        match event:
            case VoiceStarted():
                self._start(event)
            case VoiceDelta():
                self._lines[event.perspective].tokens = event.tokens
            case VoiceQuoted():  # what a small model's voice shows is there before the model has asked anything
                self._console.print(
                    Text(f"{self._lines[event.perspective].title}: {event.says}", "dim"), soft_wrap=True
                )
            case VoiceFinished(voice=voice):
                self._finish(voice)
            case VoiceFailed(voice=voice):
                self._lose(voice)
            case SynthesisStarted():
                self._start_synthesis()
            case SynthesisDrafted():
                told = f"essay of {event.words} words drafted; it is read against the voices"
                self._say(told, always=self._stream)
            case SynthesisChecked():
                found = "1 finding" if event.open == 1 else f"{event.open} findings"
                told = f"{found}; it is revised" if event.open else "nothing found"
                self._say(told, always=self._stream)
            case SynthesisDelta():
                self._write(event.text)
            case SynthesisRestarted():
                self._written = ""
                self._say(f"The synthesis begins again: {event.reason}", always=True)
            case Done():
                self._answers[event.strategy] = event.text
                self._end(event.strategy)

    @property
    def finished(self) -> list[tuple[str, str]]:
        """Name and text of every voice that has spoken and every answer that is whole and not on the screen yet."""
        shown = {"multiplex"} if self.streamed and not self._console.quiet else set()
        voices = [(f"The {line.title} voice", line.said) for line in self._lines.values() if line.said]
        return voices + [(f"The {name} answer", text) for name, text in self._answers.items() if name not in shown]

    def _start(self, event: VoiceStarted) -> None:
        line = self._lines[event.perspective]
        line.state, line.started, line.seconds, line.tokens = "speaking", monotonic(), None, 0

    def _finish(self, voice: Voice) -> None:
        line = self._lines[voice.perspective]
        line.state, line.seconds, line.said = "done", voice.seconds, voice.text
        line.tokens = voice.usage.output_tokens or line.tokens
        self._say(f"{line.title}: done, {line.tokens} tokens, {line.seconds:.1f} s")

    def _lose(self, voice: Voice) -> None:
        line = self._lines[voice.perspective]
        line.state, line.seconds = "lost", voice.seconds
        self._say(f"{line.title}: lost: {voice.error}", always=True)

    def _start_synthesis(self) -> None:
        if not self._stream:
            return
        self._show(lambda: _markdown(self._written))
        self._console.print(self._table())
        self._console.print(Rule("multiplex", style="dim"))

    def _write(self, text: str) -> None:
        """Whole blocks are printed above the live part, which holds the block under way."""
        self._written += text
        if not self._stream:
            return
        self.streamed = True
        whole, found, rest = self._written.rpartition("\n\n")
        if found:
            self._console.print(_markdown(whole), "")
            self._written = rest

    def _end(self, strategy: str) -> None:
        if strategy != "multiplex":
            line = self._lines[strategy]
            line.state, line.seconds = "done", monotonic() - line.started
            self._say(f"{strategy}: done, {line.seconds:.1f} s")
            return
        if self._stream and self._written:
            self._console.print(_markdown(self._written))
        self._written = ""
        self._show(self._table)

    def _say(self, line: str, *, always: bool = False) -> None:
        if self._live is None or always:
            self._console.print(Text(one_line(line)), style="yellow" if always else "", soft_wrap=True)

    def _table(self) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        styles = {"waiting": "dim", "speaking": "cyan", "done": "green", "lost": "bold red"}
        for line in self._lines.values():
            seconds = line.seconds if line.seconds is not None else (monotonic() - line.started if line.started else 0)
            table.add_row(
                Text(line.title), Text(line.state, styles[line.state]),
                Text(f"{line.tokens} tokens" if line.tokens else "", "dim", justify="right"),
                Text(f"{seconds:.0f} s" if line.started else "", "dim", justify="right"),
            )  # fmt: skip
        return table


def _markdown(text: str) -> Markdown:
    """A model's Markdown; the target of a link is written out, never hidden behind its words."""
    return Markdown(text, hyperlinks=False)


def print_result(console: Console, result: Result, *, streamed: bool, show_voices: bool) -> None:
    """The answers (but for one that was streamed already), the comparison, and what a reader must know."""
    for strategy in reading_order(result):
        answer = result.answers[strategy].answer
        locale = locale_of(answer.language)
        if not (streamed and strategy == "multiplex"):
            head = locale.say("simply_asked", strategy=strategy) if strategy == "uniplex" else strategy
            console.print(Rule(head, style="dim"))
            console.print(_markdown(answer.text) if console.is_terminal else Text(answer.text))
        for voice in answer.voices if show_voices else ():
            console.print(Rule(Text(locale.say("voice_of", voice=locale.title(voice.title))), style="dim"))
            console.print(Text(voice.text or locale.say("lost", error=voice.error)))
        if lines := stance_lines(answer):
            console.print(Rule(Text(locale.say("stances")), style="dim"))
            console.print(Text("\n".join(lines)))
        if show_voices and (lines := harm_lines(answer)):
            console.print(Rule(Text(locale.say("contested_where")), style="dim"))
            console.print(Text("\n".join(lines)))
    console.print(Rule(style="dim"))
    if any(each.measures for each in result.answers.values()):
        print_table(console, _comparison(result))
        console.print()
        print_table(console, _bars(result, console.width))
        console.print()
    for each in result.answers.values():
        if each.retention:
            print_table(console, _retention(each.retention))
            console.print(Text(" ".join(retention_notes(each)), "dim"), "")
    print_notes(console, result)


def print_notes(console: Console, result: Result) -> None:
    """Failures, lost voices, how to read the figures, and what the voices are."""
    for line in warnings(result):
        console.print(Text(line, "yellow"), soft_wrap=True)
    if result.answers:
        console.print(
            Text(f"{READING} Frame {result.frame_name}: {', '.join(result.frame)}; cues: named, concept.", "dim")
        )
    console.print(Text(closing(result), "dim"))


def _comparison(result: Result) -> Table:
    table = make_table(["", *result.answers])
    for label, values in comparison(result):
        table.add_row(label, *values)
    return table


def _bars(result: Result, width: int) -> Table:
    rows = list(shares(result))
    room = (width - max(len(name) for name, _ in rows)) // len(result.answers)
    full = max(1, min(BAR, room - len(" 100%") - 3))
    table = make_table(["share of the references", *result.answers])
    for column in table.columns[1:]:
        column.justify = "left"
    for perspective, values in rows:
        table.add_row(perspective, *(_bar(value, full) for value in values))
    return table


def _retention(retention: Retention) -> Table:
    head, *rows = retention_rows(retention)
    table = make_table(head, (0, len(head) - 1))
    for row in rows:
        table.add_row(*row)
    return table


def _bar(value: float | None, most: int) -> Text:
    if value is None:
        return Text("–", "dim")
    full = round(value * most)
    return Text("█" * full, "cyan") + Text("·" * (most - full), "dim") + Text(f" {value:4.0%}")
