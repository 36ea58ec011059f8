"""Blanks what a text holds besides its words: HTML tags, character references and addresses."""

from __future__ import annotations

import html
import re

_BLOCKS_TEXT = (
    "address article aside blockquote body br caption center dd details div dl dt figcaption figure footer form h1 h2 "
    "h3 h4 h5 h6 head header hr html li main nav ol p pre section summary table tbody td tfoot th thead title tr ul"
)
_INLINE_TEXT = (
    "a abbr b bdi bdo big button cite code col colgroup data del dfn em font i iframe img input ins kbd label link "
    "mark meta q rp rt ruby s samp small source span strike strong sub sup time tt u var video wbr"
)
_BLOCKS = frozenset(_BLOCKS_TEXT.split())
_OPENERS = {"li": "\n- ", "h1": "\n# "} | dict.fromkeys(("h2", "h3", "h4", "h5", "h6"), "\n##")
_TAGS = "|".join(sorted(f"{_BLOCKS_TEXT} {_INLINE_TEXT}".split(), key=len, reverse=True))
_ENDS_NO_ADDRESS = ".,;:!?'\"”’»*_)]}"
_MARKUP = re.compile(
    rf"<!--[\s\S]{{0,500}}?-->|<(?P<close>/?)(?P<tag>{_TAGS})(?=[\s/>])[^<>]{{0,2000}}>"
    r"|&(?:[a-z]{2,8}|\#\d{1,6}|\#x[0-9a-f]{1,5});"
    r"|\]\((?:[^()\s]|\([^()\s]{0,200}\)){1,2000}(?:\s+\"[^\"\n]{0,200}\")?\)"
    r"|(?<![a-z0-9])(?P<address>(?:https?://|www\.)[^\s<>\"|、。，；：！？（）「」『』【】《》]+)",
    re.IGNORECASE,
)
_SIGNS = ("<", "&", "](", "://", "www.", "WWW.")
_ROW = re.compile(r"[ \t>]*\|")


def blank_markup(text: str) -> str:
    """The text with HTML tags and comments, addresses and the targets of Markdown links blanked; every place stays.

    A tag of a block ends its sentence, but not inside a row of a Markdown table. A character reference becomes its
    character. Of HTML only known tags are blanked: `x < y` and `<name>` stay.
    """
    if not any(sign in text for sign in _SIGNS):
        return text
    return _MARKUP.sub(_blank, text)


def _blank(found: re.Match[str]) -> str:
    written = found.group()
    instead = ""
    if address := found["address"]:
        instead = address[len(address.rstrip(_ENDS_NO_ADDRESS)) :]
        return " " * (len(written) - len(instead)) + instead
    if written.startswith("&"):
        character = html.unescape(written)
        # An apostrophe belongs to its word, which blanks behind it would part.
        instead = character if len(character) == 1 and character not in "'’" else written
        instead = " " if instead.isspace() else instead
    elif (tag := (found["tag"] or "").lower()) in _BLOCKS and not _in_a_row(found):
        instead = _OPENERS.get(tag, "\n\n") if not found["close"] else "\n\n"
    return instead.ljust(len(written))


def _in_a_row(found: re.Match[str]) -> bool:
    line = found.string.rfind("\n", 0, found.start()) + 1
    return bool(_ROW.match(found.string, line, found.start()))
