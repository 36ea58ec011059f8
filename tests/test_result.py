"""The documents of `--output`: the essay first, its voices behind it, and nothing of a model's text alive."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from markdown_it import MarkdownIt

from multiplex.answering import Measured, Result
from multiplex.council.answer import Answer, Finding, Voice
from multiplex.present.document import as_html, as_markdown
from multiplex.present.result import as_record, contract

ALIVE = "<script>alert(1)</script> <img src=x onerror=alert(1)> [a](javascript:alert(1))"


def result(**changes: object) -> Result:
    about = {"persona": "p", "model": "m"}
    voices = (
        Voice(**about, perspective="western", title="Western", text=f"It was Kant who said so. {ALIVE}"),
        Voice(**about, perspective="african", title="African", text="In Ghana Wiredu answers Kant."),
        Voice(**about, perspective="islamic", title="Islamic", error=f"timeout {ALIVE}"),
    )
    fields = {"form": "essay", "check": "model", "voices": voices} | changes
    answer = Answer(
        strategy="multiplex", text=f"For Kant it is duty; Wiredu speaks of kin. {ALIVE}", model="m", **fields
    )  # type: ignore[arg-type]
    return Result(question="Why?", seed=1, frame=("western",), answers={"multiplex": Measured(answer=answer)})


def test_names_of_the_essay_lead_to_the_voice_that_named_them_and_back() -> None:
    page = as_html(result())
    assert re.search(r'Kant<sup><a id="name-0" href="#voice-western"', page)
    assert re.search(r'Wiredu<sup><a id="name-1" href="#voice-african"', page)
    assert '<article id="voice-western"' in page
    assert 'Named in the essay: <a href="#name-1">Wiredu</a>' in page
    assert page.index("speaks of kin") < page.index("<details>") < page.index("In Ghana Wiredu")
    assert "<details open>" in as_html(result(), show_voices=True)


def test_no_text_of_a_model_comes_alive() -> None:
    page = as_html(result())
    assert not re.search(r"<script|<img|href=\"javascript", page)
    assert page.count("&lt;script&gt;") == 4  # the essay, a voice, and twice the error of a lost one


def test_characters_of_private_use_in_an_answer_break_nothing() -> None:
    text = "For Kant it is duty.\U00100000 So it is."
    answer = result().answers["multiplex"].answer.model_copy(update={"text": text})
    page = as_html(result().model_copy(update={"answers": {"multiplex": Measured(answer=answer)}}))
    assert "\U00100000" in page
    assert 'id="name-0"' not in page


@pytest.mark.parametrize("end", ["```\ncut off", "~~~~text", "```\nwhole\n```", "- item\n  ```\n  cut off"])
def test_a_code_block_that_a_model_left_open_takes_in_no_voice(end: str) -> None:
    answer = result().answers["multiplex"].answer
    cut = answer.model_copy(update={"text": f"For Kant it is duty.\n\n{end}"})
    whole = result().model_copy(update={"answers": {"multiplex": Measured(answer=cut)}})
    assert '<article id="voice-african"' in as_html(whole)
    rendered = MarkdownIt().render(as_markdown(whole, show_voices=True))
    assert "<h3>The African voice</h3>" in rendered


def test_what_the_check_found_is_listed_with_what_became_of_it() -> None:
    found = (
        Finding(by="text", kind="name", quote="Foucault", why="stands in *no* voice", state="revised"),
        Finding(by="model", kind="unmet", why="not met", perspective="islamic", state="remains"),
    )
    text = as_markdown(result(findings=found))
    assert "- name, revised: “Foucault”. stands in \\*no\\* voice (text check)" in text
    assert "- unmet, remains. not met (model check)" in text
    assert contract(result(findings=found))["answers"]["multiplex"]["findings"][0]["state"] == "revised"


@pytest.mark.parametrize("write", [as_html, as_markdown, as_record])
def test_the_voices_of_a_council_that_failed_are_kept_in_every_form(write: Callable[[Result], str]) -> None:
    spoken = (Voice(persona="p", perspective="african", title="African", model="m", text="Kin come first."),)
    assert "Kin come first." in write(
        Result(question="Why?", seed=1, answers={}, failed={"multiplex": "lost"}, spoken=spoken)
    )


def test_an_answer_of_version_0_1_0_is_shown_as_before() -> None:
    old = result(form=None, check=None)
    assert "<details" not in as_html(old)
    assert "findings" not in contract(old)["answers"]["multiplex"]
