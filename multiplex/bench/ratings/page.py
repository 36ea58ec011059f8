"""The page on which people rate answers: one file that works from disk, loads nothing, and saves a JSON file.

Texts of models are rendered from Markdown with HTML and links off; the only script is `rating.js`, by its hash.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from multiplex.bench.ratings.blind import Sheet
from multiplex.bench.ratings.rubric import LEAST, MOST, POINTS, Rubric, as_markdown
from multiplex.present import templates

LONGEST_NAME, LONGEST_CLAIMS = 100, 5000
"""Characters of a rater's name or tradition, and of the claims noted for one answer."""


def page(sheet: Sheet, rubric: Rubric) -> str:
    """The page of a set."""
    from markupsafe import Markup

    style, script = (Path(__file__).with_name(f"rating.{kind}").read_text("utf-8") for kind in ("css", "js"))
    answers = [(f"q{each.number}-{answer.letter}", answer) for each in sheet.questions for answer in each.answers]
    return templates.render(
        Path(__file__).with_name("rating.html.jinja"),
        sheet=sheet,
        counted=f"{_counted(len(sheet.questions), 'question')} with {_counted(len(answers), 'answer')}",
        texts={at: Markup(render(answer.text, 3)) for at, answer in answers},  # noqa: S704  # `render` escapes
        rubric=Markup(render(as_markdown(rubric), 2)),  # noqa: S704
        points=[(name, rubric.points[name]) for name in POINTS],
        marks=range(LEAST, MOST + 1),
        longest_name=LONGEST_NAME,
        longest_claims=LONGEST_CLAIMS,
        policy=Markup(policy(script)),  # noqa: S704  # our own
        style=Markup(style),  # noqa: S704
        script=Markup(script),  # noqa: S704
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


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
