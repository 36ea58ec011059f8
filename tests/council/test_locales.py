"""What the program itself writes into an answer stands in the reader's language, and every locale file is whole."""

from __future__ import annotations

import json
import re
from html import escape
from pathlib import Path

import pytest

import multiplex
from multiplex.answering import ask, question_language
from multiplex.content import content_root
from multiplex.council.locales import ENGLISH, Language, _compare, languages, locale_of
from multiplex.council.order import Order
from multiplex.council.personas import Council, built_in
from multiplex.council.strategies import multiplex as ask_council
from multiplex.errors import ContentError, UsageError
from multiplex.llm.chat import Chat
from multiplex.llm.spec import parse_spec
from multiplex.present.document import as_html
from tests.backend import Backend, Body, Say, asked

QUESTION = "كيف ينبغي للأسرة أن تقرر من يرعى الوالدين عند الكبر؟"
VOICE = "يرى كثيرون في هذا التقليد أن الرعاية واجب مشترك بين الأبناء. ويعترض بعضهم على ذلك."
ESSAY = "## من أين تبدأ الرعاية\n\nيرى كثيرون أن الرعاية واجب مشترك. ويعترض بعضهم لأن العبء يقع على النساء غالبًا."
FOUND = {"kind": "sharpened", "quote": "الرعاية واجب مشترك", "tradition": "", "why": "قال الصوت: عند كثيرين."}
LATIN = re.compile(r"[A-Za-z][A-Za-z-]+")


def script(body: Body, _: int) -> Say:
    text = asked(body)
    if text.startswith("You check an essay"):
        return Say(json.dumps({"findings": [FOUND]}))
    if "You write one essay" in text:
        return Say(ESSAY)
    african = Council.load("african").personas[0].speaker.split(".")[0]
    return Say(status=500) if african in text else Say(VOICE)


@pytest.mark.parametrize("code", languages())
def test_a_locale_has_every_text_with_its_fields_and_every_title(code: str) -> None:
    locale = locale_of(code)
    assert set(locale.titles) == {persona.title for persona in built_in()}
    text = (content_root() / "prompts" / "locales" / f"{code}.yaml").read_text("utf-8")
    assert code == ENGLISH or text.startswith("# Written by a language model, not reviewed by speakers.\n")
    assert locale.direction == ("rtl" if code in ("ar", "fa") else "ltr")
    assert code == ENGLISH or not set(locale.texts.values()) & set(locale_of(ENGLISH).texts.values()) - {
        "$voice.",
        "$count s",
    }


def test_every_text_is_written_somewhere_and_every_text_written_is_there() -> None:
    code = "\n".join(path.read_text("utf-8") for path in Path(multiplex.__file__).parent.rglob("*.py"))
    keys = set(locale_of(ENGLISH).texts)
    written = {key for key in keys if f'"{key}"' in code or f"'{key}'" in code}
    assert {key for key in keys - written if not key.startswith(("kind_", "state_", "by_"))} == set()
    assert set(re.findall(r"""\bsay\(["'](\w+)["']""", code)) - keys == set()


def test_a_file_that_lacks_a_text_or_a_field_names_it() -> None:
    english = locale_of(ENGLISH)
    less = {key: text for key, text in english.texts.items() if key != "missing"}
    for texts, problem in (
        (less, r"texts\.missing: is missing"),
        (english.texts | {"missing": "no field"}, r"texts\.missing: has the fields \[\]"),
        (english.texts | {"odd": "x"}, r"texts\.odd: no such key"),
    ):
        with pytest.raises(ContentError, match=problem):
            _compare(Path("xx.yaml"), english.model_copy(update={"texts": texts}), english)


@pytest.mark.parametrize(
    ("question", "code"),
    [(QUESTION, "ar"), ("Wer soll die Eltern pflegen, wenn sie alt werden?", "de"), ("Why?", "en"), ("Zakat", "en"),
     ("家族は年老いた親の世話をどう決めるべきですか。", "ja")],
)  # fmt: skip
def test_the_language_of_a_question_is_recognised_and_a_word_or_two_are_english(question: str, code: str) -> None:
    assert question_language(question) == code


async def test_an_answer_to_an_arabic_question_is_arabic_from_the_first_heading_to_the_last_note(
    backend: Backend,
) -> None:
    backend.script = script
    chat = Chat(parse_spec("test-model", backend.base_url).model_copy(update={"retries": 0}))
    result, error = await ask(Order.of(QUESTION, model=chat, strategies=["multiplex"], seed=3))
    await chat.aclose()
    assert error is None
    assert result.language == result["multiplex"].language == "ar"
    page = as_html(result)
    assert '<html lang="ar">' in page
    body = page.partition('<body dir="rtl">')[2]
    head, figures, rest = re.split(r'<section lang="en" dir="ltr">\n|</section>\n', body)
    assert "references (n)" in figures
    told = str(next(voice.error for voice in result["multiplex"].voices if voice.error))  # the endpoint's own words
    seen = re.sub(r"<[^>]*>", " ", head + rest).replace(escape(told), "")
    assert set(LATIN.findall(seen)) <= {"multiplex", "test-model"}
    for line in (
        "أصوات ناقصة في هذه الإجابة لأنها فُقدت: الأفريقي.",
        "فُقد صوت (الأفريقي): ",
        "ما وجده التدقيق وما آل إليه",
        "بقي في المقال 1 من 1 من ملاحظات التدقيق",
        "وهي لا تمثل أي شعب. البذرة 3.",
    ):
        assert line in head + rest


async def test_a_chosen_language_is_asked_for_by_name_and_what_our_code_wrote_is_scaffold(backend: Backend) -> None:
    backend.script = script
    chat = Chat(parse_spec("m", backend.base_url).model_copy(update={"retries": 0, "check": "none"}))
    council = Council.load("african", "western", "islamic")
    answer = await ask_council(
        "Who cares for old parents?", chat, 1, lambda event: None, council=council, min_voices=1,
        language=Language("ar", chosen=True),
    )  # fmt: skip
    await chat.aclose()
    assert all("in Arabic" in asked(body) for body in backend.requests)
    assert not any("language of the question" in asked(body) for body in backend.requests)
    ours = "".join(answer.text[start:end] for start, end in answer.scaffold)
    assert ours.strip() == "*أصوات ناقصة في هذه الإجابة لأنها فُقدت: الأفريقي.*"
    assert answer.text == ESSAY + ours


async def test_a_language_without_a_file_is_told_and_its_notices_are_english(backend: Backend) -> None:
    chat = Chat(parse_spec("m", backend.base_url).model_copy(update={"check": "none"}))
    answer = await ask_council(
        "ใครควรดูแลพ่อแม่", chat, 1, lambda event: None, council=Council.load("western"), language=Language("th")
    )
    await chat.aclose()
    assert answer.notes[0].endswith("is in English: there is no file of it for the question's language (th)")
    assert "One voice alone spoke, Western" in answer.text


def test_an_unknown_language_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(UsageError, match="--language 'xx': there are am, ar, az"):
        multiplex.answer("Who cares?", language="xx")
