"""Removes what a reasoning model thinks aloud before it answers.

Thinking stands at the beginning of a reply, between marks of one of the forms below, or ends with a closing mark whose
opening one the endpoint's template has swallowed. A mark that is quoted later in the text is the text's own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice

_NAME = r"(?:[a-z]{1,12}[:_-])?(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflection|scratchpad|analysis|monologue)"
_FINAL = r"(?:<\|end\|>)?(?:<\|start\|>assistant)?<\|channel\|>final[^<]{0,40}<\|message\|>"


@dataclass(frozen=True)
class _Form:
    """How thinking begins and ends.

    `certain`: what begins so is thinking even where it never ends. `nests`: its own opening mark may stand inside it.
    """

    opens: re.Pattern[str]
    closes: re.Pattern[str]
    certain: bool = True
    nests: bool = False


def _form(opens: str, closes: str, *, certain: bool = True, nests: bool = False) -> _Form:
    return _Form(re.compile(opens, re.IGNORECASE), re.compile(closes, re.IGNORECASE), certain, nests)


_FORMS = (
    _form(r"\[think(?:ing)?\]", r"\[/think(?:ing)?\]"),  # Mistral
    _form(r"◁think▷", r"◁/think▷"),  # Kimi
    _form(r"<\|begin_of_thought\|>", r"<\|end_of_thought\|>"),
    _form(r"<\|start_thinking\|>", r"<\|end_thinking\|>"),  # Cohere
    _form(r"<\|channel>\s*thought\b", r"<channel\|>"),  # Gemma
    _form(r"<(?:unused|ctrl)94>\s*(?:thought\b)?", r"<(?:unused|ctrl)95>"),  # MedGemma, Gemini
    _form(r"<\|inner_prefix\|>", r"<\|inner_suffix\|>"),  # Apertus
    _form(r"<\|think\|>", r"<\|end\|>"),  # Solar
    _form(r"<details type=\"reasoning\"[^<>]{0,80}>", r"</details>"),  # web front ends that are an endpoint themselves
    _form(r"(?:<\|start\|>assistant)?<\|channel\|>(?!final)\w{1,20}[^<]{0,40}<\|message\|>", _FINAL),  # harmony
    _form(r"analysis(?=[A-Z\"'“])", r"(?:assistant)?final(?=[A-Z\"'“*#\d\s])", certain=False),  # without its marks
    _form(r"here(?: is|'s) my thought process:", r"here(?: is|'s) my response:", certain=False),  # Granite
    _form(r"\*thinking(?:\.{3}|…)\*\s*(?=>)", r"\n[ \t]*(?=[^>\s])"),  # Poe: what is quoted at the beginning
)
_TAG = re.compile(rf"<({_NAME})(?:\s[^<>]{{0,80}})?>", re.IGNORECASE)
_PREFIXES = (
    "[think]", "[thinking]", "◁think▷", "<|begin_of_thought|>", "<|start_thinking|>", "<|channel>thought",
    "<unused94>thought", "<ctrl94>thought", "<|inner_prefix|>", "<|think|>",
    "<|begin|>assistant<|content|>", "<|content|>",
    "<|start|>assistant<|channel|>analysis<|message|>", "<|channel|>commentary<|message|>",
    "<|channel|>analysis<|message|>", "<|channel|>final<|message|>", "<|begin_of_solution|>",
    "<|begin_of_box|>", "<|start_response|>", 'analysis"', "here is my thought process:",
    "here's my thought process:", "*thinking...*>", "*thinking…*>",
)  # fmt: skip
_PART_OF_TAG = re.compile(r"</?[a-z:_-]{0,32}(?:\s[^<>]{0,80})?", re.IGNORECASE)
_ALONE = re.compile(
    r"</(?:[a-z]{1,12}[:_-])?(?:think(?:ing)?|thoughts?|reason(?:ing)?)\s*>|\[/think(?:ing)?\]|◁/think▷"
    rf"|<\|end_of_thought\|>|<\|end_thinking\|>|<channel\|>|<(?:unused|ctrl)95>"
    rf"|<\|inner_suffix\|>|{_FINAL}",
    re.IGNORECASE,
)
_OPENED = re.compile(r"<(?:[a-z]{1,12}[:_-])?(?:think|thought|reason)[^<>]{0,80}>|\[think|◁think▷", re.IGNORECASE)
_ANSWER = re.compile(
    rf"{_FINAL}|<\|begin_of_(?:solution|box)\|>|<\|start_response\|>|(?:<\|begin\|>assistant)?<\|content\|>",
    re.IGNORECASE,
)
_WRAP = re.compile(r"<(answer|output|response|solution|final[_-]?answer)>\s*", re.IGNORECASE)  # after thinking only
_PART_OF_WRAP = re.compile(r"\s*<(?:/[a-z_-]{0,12}(?:>\s*)?)?$", re.IGNORECASE)
_LAST_MARK = re.compile(
    r"<\|(?:return|end|end_of_solution|end_of_box|end_response|im_end|eot_id|endoftext|end_of_text)\|>$", re.IGNORECASE
)
_PART_OF_LAST = re.compile(r"<(?:\|(?:[a-z_]{1,15}\|?>?)?)?$", re.IGNORECASE)
_TAIL = 128  # characters, more than any mark has
MOST_MARKS = 20  # closing marks that are looked at
_QUOTES = "`\"'“”‘’«»"
_ENDS = ".!?:;…。！？)]*"
_ALOUD_WORDS = (
    "okay", "ok", "alright", "all right", "so", "hmm", "hmmm", "well", "right", "let me", "let's", "let’s", "we", "i",
    "i'm", "i’m", "first", "the user", "the question", "got it", "wait", "now", "to answer", "thinking", "user",
    "this is a", "here's a thinking process",
    "here’s a thinking process", "here is a thinking process", "嗯", "好", "首先", "用户", "我",
)  # fmt: skip
_ALOUD = re.compile(rf"(?:{'|'.join(map(re.escape, _ALOUD_WORDS))})(?![a-z])", re.IGNORECASE)
_SURELY = re.compile(  # no answer begins so
    r"(?:here(?:'s|’s| is) a )?thinking process:|"
    r"(?:(?:okay|ok|alright|hmm+)\W+(?:so\W+)?)?the user (?:is asking|has asked|asks|asked|wants)\b|"
    r"(?:okay|ok|alright|hmm+)\W+(?:so\W+)?(?:let me|let's|let’s|i need to|we need to)\b|"
    r"(?:嗯|好的?)[，,]\s*用户|用户(?:问|想|要)",
    re.IGNORECASE,
)


def without_thinking(text: str) -> str:
    """The answer alone, without the thinking before it; empty where thinking is all there is."""
    answer = ThinkingFilter(hold=True)
    return answer.feed(text, last=True).strip()


@dataclass
class Manner:
    """What is known of how one model thinks; `closes_alone`: it ends its thinking without having opened it."""

    closes_alone: bool = False


class ThinkingFilter:
    """Lets a streamed reply through piece by piece, without the thinking before it.

    A closing mark alone is known only once it comes. So a reply that begins as thinking aloud does ("Okay, the user
    asks"), and every reply of a model that has closed alone before, is held back until such a mark or its end; with
    `hold` every reply is.
    """

    def __init__(self, manner: Manner | None = None, *, hold: bool = False) -> None:
        self._manner, self._hold = manner or Manner(), hold
        self._held = ""
        self._form: _Form | None = None  # of the thinking under way
        self._state = "start"
        self._seen = 0  # up to where no mark begins in what is held back
        self._thought = self._begun = self._surely = False
        self._nested = False  # whether the thinking opened itself again, so that it may close twice
        self._wrap = ""  # the tag in which the answer stands

    def feed(self, piece: str, *, last: bool = False) -> str:
        """The part of the reply that may be shown now; `last` lets go of what was held back."""
        self._held += piece
        moved = True
        while moved:
            state = self._state
            if state == "start":
                moved = self._start(last)
            elif state == "thinking":
                moved = self._skip()
            else:
                moved = state == "aloud" and self._end_alone(last)
        return self._show(last)

    @property
    def unclosed(self) -> bool:
        """Whether a reply that is over is thinking that never ended, by its beginning or what is known of its model."""
        return (self._manner.closes_alone or self._surely) and self._state in ("start", "aloud") and not self._thought

    def _start(self, last: bool) -> bool:
        """Whether it is known how the reply begins."""
        text = self._held = self._held.lstrip()
        if not text:
            return False
        if found := _opening(text):
            self._form, end = found
            self._held, self._state = text[end:] if self._form.certain else text, "thinking"
            return True
        if final := _ANSWER.match(text):
            self._held, self._state = text[final.end() :], "open"
            return True
        if mark := _ALONE.match(text):
            self._held, self._thought, self._nested = text[mark.end() :], True, False
            return True
        if self._thought and (tag := _WRAP.match(text)):
            self._held, self._wrap, self._state = text[tag.end() :], tag[1], "open"
            return True
        if not last and _may_open(text):
            return False
        if not self._thought and not last and any(word.startswith(text.lower()) for word in _ALOUD_WORDS):
            return False
        hold = self._hold or self._manner.closes_alone or _ALOUD.match(text) is not None
        aloud = self._nested or (not self._thought and hold)
        self._state = "aloud" if aloud or (not self._thought and last) else "open"
        return True

    def _skip(self) -> bool:
        """Whether the thinking ended; what is surely thinking is let go of."""
        if self._form is None:
            raise AssertionError("thinking has a form")
        end = self._form.closes.search(self._held, self._seen)
        if self._form.nests and self._form.opens.search(self._held, 0, end.start() if end else len(self._held)):
            self._nested = True
        if end:
            self._held, self._state, self._thought = self._held[end.end() :], "start", True
            self._seen = 0
            return True
        if self._form.certain:
            self._held = self._held[-_TAIL:]
        else:
            self._seen = max(0, len(self._held) - _TAIL)
        return False

    def _end_alone(self, last: bool) -> bool:
        """Whether a closing mark alone ended what was held back."""
        for mark in islice(_ALONE.finditer(self._held, self._seen), MOST_MARKS):
            if mark.end() == len(self._held) and not last:
                return False  # what follows says whether it is quoted
            if not _is_quoted(self._held, mark) and (self._nested or _closes(self._held, mark)):
                self._manner.closes_alone = self._manner.closes_alone or not self._nested
                self._held, self._state, self._thought = self._held[mark.end() :], "start", True
                self._nested = False
                return True
        self._seen = max(self._seen, len(self._held) - _TAIL)
        return False

    def _show(self, last: bool) -> str:
        state = self._state
        self._surely = last and _SURELY.match(self._held) is not None
        if state == "thinking" and last and self._form is not None and not self._form.certain:
            state = "open"
        if state != "open" and not (state in ("aloud", "start") and last):
            return ""
        shown, self._held = self._held, ""
        if last:
            shown = _without_last_mark(shown)
            shown = re.sub(rf"\s*</{self._wrap}>\s*$", "", shown, flags=re.I) if self._wrap else shown
        else:  # what may become a last mark waits
            ends = [_PART_OF_LAST, _PART_OF_WRAP] if self._wrap else [_PART_OF_LAST]
            marks = (end.search(shown, max(0, len(shown) - _TAIL)) for end in ends)
            place = min((mark.start() for mark in marks if mark), default=len(shown))
            shown, self._held = shown[:place], shown[place:]
        if not self._begun:
            shown = shown.lstrip()
            self._begun = bool(shown)
        return shown


def _opening(text: str) -> tuple[_Form, int] | None:
    """The form of the thinking that a text begins with, and where its opening mark ends."""
    if tag := _TAG.match(text):
        stem = re.escape(tag[1].lower().removesuffix("ing").removesuffix("s"))
        return _form(rf"<{stem}(?:ing|s)?\s*>", rf"</{stem}(?:ing|s)?\s*>", nests=True), tag.end()
    return next(((form, mark.end()) for form in _FORMS if (mark := form.opens.match(text))), None)


def _without_last_mark(text: str) -> str:
    bare = text.rstrip()
    mark = _LAST_MARK.search(bare, max(0, len(bare) - _TAIL))
    return bare[: mark.start()] if mark else text


def _may_open(text: str) -> bool:
    """Whether more of this text could make an opening mark of it."""
    if _PART_OF_TAG.fullmatch(text):
        return True
    if len(text) > _TAIL:
        return False
    tight = re.sub(r"\s+", " " if text[:1].lower() == "h" else "", text.lower())
    return any(mark.startswith(tight) for mark in _PREFIXES)


def _is_quoted(text: str, mark: re.Match[str]) -> bool:
    before, after = text[: mark.start()], text[mark.end() :]
    return bool(before.count("```") % 2 or before[-1:] in tuple(_QUOTES) or after[:1] in tuple(_QUOTES))


def _closes(text: str, mark: re.Match[str]) -> bool:
    """Whether a closing mark that was never opened ends thinking, and is not one that the text speaks of."""
    before, after = text[: mark.start()], text[mark.end() :]
    if _OPENED.search(before):
        return False
    bare = before.rstrip(" \t")
    if not bare or bare[-1] == "\n" or bare[-1] in _ENDS:
        return True
    return bare == before and (not after or after[0] == "\n" or after[0].isalnum())
