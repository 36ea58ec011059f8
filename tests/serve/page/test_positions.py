"""What a voice rests on: marked in its text, and a way to the position and its source, on the page and in .html."""

from __future__ import annotations

import json

from multiplex.council.answer import Cited, Voice
from multiplex.council.locales import locale_of
from multiplex.present.document import _html_voice
from multiplex.serve.page.views import voice_view

TEXT = "Care is owed. It may be hired <b>too</b>."
FIRST = Cited(
    id="owed", says="Some hold it.", whose="Some", source="A. Author, Work (1990)", places=(len("Care is owed"),)
)
SECOND = Cited(
    id="hired", says="Others <i>do</i>.", whose="Others", source="B. Author, Work (1991)", places=(len(TEXT) - 1,)
)
VOICE = Voice(
    persona="own", perspective="african", title="African", model="m", text=TEXT, positions=(FIRST, SECOND)
)  # fmt: skip
QUOTING = VOICE.model_copy(update={"quoted": ((0, 12),), "scaffold": ((12, 13),)})


def test_the_page_marks_what_rests_on_a_position() -> None:
    view = voice_view(VOICE)
    assert json.dumps(view["prose"]).count('"t": "cite"') == 2
    assert [(each["id"], each["source"]) for each in view["positions"]] == [
        ("own/owed", "A. Author, Work (1990)"),
        ("own/hired", "B. Author, Work (1991)"),
    ]


def test_a_voice_that_quotes_says_itself_whose_it_is() -> None:
    view = voice_view(QUOTING)
    assert view["positions"] == []
    assert '"t": "cite"' not in json.dumps(view["prose"])
    assert '"t": "s"' in json.dumps(view["prose"])


def test_the_document_links_a_sentence_to_its_position_and_escapes_both() -> None:
    html = _html_voice(VOICE, [], locale_of("en"))
    assert 'Care is owed<sup><a href="#position-african-0">[1]</a></sup>.' in html
    assert '<li id="position-african-1">Others &lt;i&gt;do&lt;/i&gt;. <em>Others</em>; B. Author, Work (1991)' in html
    assert "<b>" not in html
    assert "<code>own/owed</code>" in html
    assert "position-" not in _html_voice(QUOTING, [], locale_of("en"))
