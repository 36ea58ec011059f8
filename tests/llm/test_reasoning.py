from __future__ import annotations

import pytest

from multiplex.llm.reasoning import ThinkingFilter, without_thinking

CASES = [
    ("plain", "plain"),
    ("<think>a</think>b", "b"),
    ("<think>\nlong\n</think>\n\nb", "b"),
    ("a<thinking>x</thinking>b", "ab"),
    ("<think>never closed", ""),
    ("1 < 2 and a<b", "1 < 2 and a<b"),
    ("<THINK>x</THINK>y", "y"),
]


@pytest.mark.parametrize(("text", "answer"), CASES)
def test_thinking_is_taken_out(text: str, answer: str) -> None:
    assert without_thinking(text) == answer


def test_a_block_closed_without_having_been_opened_is_taken_out() -> None:
    assert without_thinking("I reason.</think>The answer.") == "The answer."


@pytest.mark.parametrize(("text", "answer"), CASES)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_a_stream_shows_the_same_whatever_its_pieces(text: str, answer: str, size: int) -> None:
    visible = ThinkingFilter()
    shown = "".join(visible.feed(text[i : i + size]) for i in range(0, len(text), size)) + visible.feed("", last=True)
    assert shown.strip() == answer
