"""The page on which people rate answers: one file that works from disk, loads nothing, and saves a JSON file.

Texts of models are rendered from Markdown with HTML and links off; the only script is `rating.js`, by its hash.
"""

from __future__ import annotations

import base64
import hashlib
from html import escape
from pathlib import Path

from multiplex.bench.ratings.blind import Sheet, ShownAnswer, ShownQuestion
from multiplex.bench.ratings.rubric import LEAST, MOST, POINTS, PointText, Rubric, as_markdown
from multiplex.present.highlight import clean

LONGEST_NAME, LONGEST_CLAIMS = 100, 5000
"""Characters of a rater's name or tradition, and of the claims noted for one answer."""


def page(sheet: Sheet, rubric: Rubric) -> str:
    """The page of a set."""
    style, script = (Path(__file__).with_name(f"rating.{kind}").read_text("utf-8") for kind in ("css", "js"))
    questions = "".join(_question(each, len(sheet.questions), rubric) for each in sheet.questions)
    return clean(
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy(script)}">\n'
        f"<title>Rate answers</title>\n<style>\n{style}</style>\n</head>\n"
        f'<body data-set="{escape(sheet.set)}">\n<header><h1>Rate answers</h1><p id="progress" role="status"></p>'
        f"</header>\n{_NO_SCRIPT}<main>\n{_start(sheet, rubric)}{questions}{_FINISH}</main>\n{_NAVIGATION}"
        f"<script>{script}</script>\n</body>\n</html>\n"
    )


def policy(script: str) -> str:
    """The content security policy of a page whose one script is this."""
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; base-uri 'none'; "
        "form-action 'none'"
    )


def render(text: str, below: int) -> str:
    """Foreign Markdown as inert HTML: no HTML, image or link of its own; its headings come below level `below`."""
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    reader.disable(["image", "link", "autolink", "reference"])
    tokens = reader.parse(text)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + below)}"
    rendered: str = reader.renderer.render(tokens, reader.options, {})
    return rendered


_NO_SCRIPT = (
    '<noscript><p class="warning">This page cannot work here, since its script does not run. Save the file, then open '
    "it in a browser; a preview in a mail or file program will not do.</p></noscript>\n"
)

_FINISH = """<section class="step" id="finish" hidden>
<h2 tabindex="-1">Finish</h2>
<p id="lead" tabindex="-1" role="status"></p>
<ul id="missing"></ul>
<p><button type="button" id="save" class="main">Save the ratings file</button></p>
<p class="soft">The file is saved where your browser puts downloads. Nothing is sent: hand it back to whoever gave you
this page.</p>
<div id="saved" hidden>
<p id="told" role="status"></p>
<label for="copy">No file to be found? Copy this text and send it instead:</label>
<textarea id="copy" rows="4" readonly></textarea>
</div>
<p><button type="button" id="forget">Delete my draft from this device</button></p>
</section>
"""

_NAVIGATION = """<nav aria-label="Steps"><div>
<button type="button" id="back">Back</button>
<label for="go" class="hidden">Go to</label><select id="go"></select>
<button type="button" id="rubric" aria-haspopup="dialog">Rubric</button>
<button type="button" id="next" class="main">Next</button>
</div></nav>
<dialog id="told-rubric" aria-label="How to rate"><form method="dialog"><button>Close</button></form><div></div>
</dialog>
"""


def _start(sheet: Sheet, rubric: Rubric) -> str:
    """Who rates, what to do, and the rubric."""
    answers = sum(len(each.answers) for each in sheet.questions)
    counted = (
        f"{len(sheet.questions)} {'question' if len(sheet.questions) == 1 else 'questions'} with {answers} "
        f"{'answer' if answers == 1 else 'answers'}"
    )
    return f"""<section class="step" id="start">
<h2 tabindex="-1">Before you start</h2>
<p>You get {counted}, without being told how they came about. Rate every one by the rubric below; at the end you save a
file and hand it back. Nothing that you enter leaves this device by itself.</p>
<p id="draft" class="warning" role="status" hidden></p>
<div class="about">
<label for="rater">Your name or initials</label>
<input id="rater" name="rater" maxlength="{LONGEST_NAME}" autocomplete="off" spellcheck="false">
<fieldset id="belonging"><legend>Do you belong to one of the traditions that these answers speak of?</legend>
<label class="choice"><input type="radio" name="belongs" value="no"> No</label>
<label class="choice"><input type="radio" name="belongs" value="yes"> Yes</label>
<label for="tradition">Which one? In your own words</label>
<input id="tradition" name="tradition" maxlength="{LONGEST_NAME}" autocomplete="off" dir="auto">
</fieldset>
</div>
<div id="full-rubric" class="text">{render(as_markdown(rubric), 2)}</div>
</section>
"""


def _question(of: ShownQuestion, many: int, rubric: Rubric) -> str:
    answers = "".join(_answer(of.number, each, rubric) for each in of.answers)
    return (
        f'<section class="step" id="q{of.number}" data-question="{of.number}" hidden>\n'
        f'<h2 tabindex="-1">Question {of.number} of {many}</h2>\n'
        f'<p class="question" dir="auto">{escape(of.question)}</p>\n{answers}</section>\n'
    )


def _answer(number: int, of: ShownAnswer, rubric: Rubric) -> str:
    at = f"q{number}-{of.letter}"
    points = "".join(_point(f"{at}-{name}", of.letter, name, rubric.points[name]) for name in POINTS)
    return (
        f'<article class="answer" data-letter="{of.letter}" aria-labelledby="{at}">\n<h3 id="{at}">Answer {of.letter}'
        f'</h3>\n<div class="both"><div class="text" dir="auto">{render(of.text, 3)}</div>\n<div class="points">\n'
        f'{points}<label for="{at}-false">False claims in answer {of.letter}, if any</label>\n'
        f'<textarea id="{at}-false" name="{at}-false" rows="3" maxlength="{LONGEST_CLAIMS}" dir="auto"></textarea>\n'
        "</div></div></article>\n"
    )


def _point(at: str, letter: str, name: str, of: PointText) -> str:
    """A scale: seven radio buttons under the point's name and question."""
    marks = "".join(
        f'<label><input type="radio" name="{at}" value="{mark}"><span>{mark}</span></label>'
        for mark in range(LEAST, MOST + 1)
    )
    return (
        f'<fieldset class="point" id="{at}" data-point="{name}" data-name="{escape(of.name)}"><legend>'
        f'<span class="hidden">Answer {letter}: </span><strong>{escape(of.name)}.</strong> {escape(of.asks)}</legend>\n'
        f'<div class="scale">{marks}</div>\n<p class="ends"><span>{LEAST}: {escape(of.low)}</span> '
        f"<span>{MOST}: {escape(of.high)}</span></p></fieldset>\n"
    )
