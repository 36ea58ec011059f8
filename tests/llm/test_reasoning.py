from __future__ import annotations

import pytest

from multiplex.llm.reasoning import Manner, ThinkingFilter, without_thinking

T, A = "So the user asks. Daoism says wu wei.", "In Confucian thought."
QUOTED = "Some models write a <think> tag before they answer."
FORMS = [
    ("<think>", "</think>"), ("<THINK>", "</THINK>"), ("<thinking>", "</thinking>"), ('<think time="3">', "</think>"),
    ("<thought>", "</thought>"), ("<reasoning>", "</reasoning>"), ("<reason>", "</reason>"),
    ("<seed:think>", "</seed:think>"), ("[THINK]", "[/THINK]"), ("◁think▷", "◁/think▷"),
    ("<|channel>thought\n", "<channel|>"), ("<|START_THINKING|>", "<|END_THINKING|><|START_RESPONSE|>"),
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    ("analysis", "assistantfinal"), ("Here is my thought process:", "Here is my response:"), ("", "\n</think>"),
    ("<think>a</think>\n<think>", "</think>"), ("<think>a <think>b</think> c ", "</think>"),
    ("<|inner_prefix|>", "<|inner_suffix|>"), ("<ctrl94>thought\n", "<ctrl95>"),
    ("*Thinking...*\n\n> **Planning**\n> \n> ", "\n"), ("Here's a thinking process:\n1. ", "\n</think>"),
    ("<|think|>", "<|end|><|begin|>assistant<|content|>"), ('<details type="reasoning" done="true">', "</details>"),
]  # fmt: skip
CASES = [
    *[(f"{opens}{T}{closes}\n\n{A}", A) for opens, closes in FORMS],
    *[(text, text) for text in (
        "plain", "1 < 2 and a<b", QUOTED, "a<thinking>x</thinking>b", "So they end with `</think>` and go on.",
        "So a </think> tag ends it. Then.", "Okay: ```\nx.\n</think>\n``` is code.", "analysis of duty",
        "Here is my thought process: I think.", "*Thinking of elders* > all", "> Quoted.\n\nAnd said.",
        "<b>Hi</b> there", "Thinking of elders <3",
        "So write <think>\nx.\n</think>\n in code.",
    )],
    ("<think>never closed", ""),
    ("I reason.</think>The answer.", "The answer."),
    (f"<think>{T}</think>\n<answer>\n{A}\n</answer>\n", A),
    (f"<think>A <think> tag opens it.</think>{A} `</think>` closes it.", f"{A} `</think>` closes it."),
    (f"<think>{T}</think>{A} <answer>no</answer>", f"{A} <answer>no</answer>"),
    ("</think>\n\nHi.", "Hi."),
    ("<|channel|>final<|message|>Hi<|return|>", "Hi"),
    ("<think>Hm.</think>\n<|begin_of_box|>Hi<|end_of_box|>", "Hi"),
    ("Hi.<|im_end|>", "Hi."),
]  # fmt: skip


@pytest.mark.parametrize(("text", "answer"), CASES)
def test_thinking_is_taken_out(text: str, answer: str) -> None:
    assert without_thinking(text) == answer


def test_a_model_that_has_closed_alone_is_held_back_from_then_on() -> None:
    manner = Manner()
    first, second = ThinkingFilter(manner), ThinkingFilter(manner)
    first.feed(f"{T}\n</think>\n{A}", last=True)
    assert second.feed("Daoism says wu wei.") == ""
    assert second.feed("</think>" + A, last=True) == A


@pytest.mark.parametrize(
    ("text", "thinking"),
    [("Thinking Process:\n\n1. **Analyze", True), ("Okay, so the user asks about duty", True), ("The user wants", True),
     ("Okay. Elders are heard", False), ("The question of duty", False), ("So they hold", False)],
)  # fmt: skip
def test_thinking_that_never_ends_is_known_by_how_it_begins(text: str, thinking: bool) -> None:
    visible = ThinkingFilter()
    for letter in text:
        visible.feed(letter)
    visible.feed("", last=True)
    assert visible.unclosed is thinking


@pytest.mark.parametrize(("text", "answer"), CASES)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_a_stream_shows_the_same_whatever_its_pieces(text: str, answer: str, size: int) -> None:
    visible = ThinkingFilter()
    shown = "".join(visible.feed(text[i : i + size]) for i in range(0, len(text), size)) + visible.feed("", last=True)
    assert shown.strip() == answer
