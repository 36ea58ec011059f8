"""Keeps text of a user, a model or a file apart from the rest of a prompt: marks that bear a nonce, and no others.

Material stands between marks such as `<voice 3f9a1c2b7d04>` and `</voice 3f9a1c2b7d04>`. Nobody who writes material can
know the nonce, and whatever in it could be read as a mark of a prompt, in any spelling, loses its bracket.
"""

from __future__ import annotations

import hashlib
import hmac
import html
import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

DIGITS = 12  # of a nonce: 48 bits, which a text that is hashed into it cannot hold but by chance
_OURS = (
    "question", "voice", "heard", "conversation", "newest", "turn", "instruction", "sentence", "harm", "essay",
    "finding", "answer", "task", "position",
)  # fmt: skip
_OTHERS = (  # of chat templates, which a server may read inside a message
    "system", "sys>", "user", "assistant", "developer", "tool", "think", "imstart", "imend", "imsep", "startof",
    "endof", "startheader", "endheader", "eot", "bos", "eos", "s>", "inst>", "seedbos", "seedeos",
    r"(?:special|reserved|unused|ctrl|extraid)\d",
)  # fmt: skip
_SQUARE = re.compile(r"\[(/?(?:inst|system_prompt|available_tools|tool_(?:calls|content|results)))\]", re.IGNORECASE)
_REACH = 300  # plain characters within which the end of a mark is looked for
_FILLERS = "\u115f\u1160"  # letters by their class that show nothing
_MARK = re.compile(rf"<+(?:\||{'|'.join((*_OURS, *_OTHERS))})")
_OPEN = re.compile(
    r"[<＜﹤˂ᐸ⟨〈〈❮❬≺\U000e003c]|&(?:amp;)*(?:lt|#0*60(?!\d)|#x0*3c(?![0-9a-f]))|%3c|\\u003c|\\x3c", re.IGNORECASE
)
_UNIT = re.compile(
    r"&(?:amp;)*(?:lt;?|gt;?|#\d{1,7};?|#x[0-9a-f]{1,6};?|[a-z]{2,8};)|%3[ce]|\\u003[ce]|\\x3[ce]|.",
    re.IGNORECASE | re.DOTALL,
)
_ESCAPED = {"%3c": "<", "%3e": ">", "\\u003c": "<", "\\u003e": ">", "\\x3c": "<", "\\x3e": ">"}
_ALIKE = str.maketrans(
    "˂ᐸ⟨〈❮❬≺˃ᐳ⟩〉❯❭≻∕⁄ǀ∣│¦аеорсѕіјԁһνυսոѵιοητατεκмтνӏıɩɡ",
    "<<<<<<<>>>>>>>//||||aeopcsijdhvuunviontatekmtvliig",
)


@dataclass(frozen=True)
class Marks:
    """The marks of one prompt."""

    nonce: str

    def enclose(self, name: str, text: str, **about: str) -> str:
        """Material between two marks; `about` are attributes of the first."""
        return self.wrap(name, as_data(text), **about)

    def wrap(self, name: str, blocks: str, **about: str) -> str:
        """What is already enclosed, between two further marks."""
        told = "".join(f' {key}="{_attribute(value)}"' for key, value in about.items())
        return f"<{name}{told} {self.nonce}>\n{blocks}\n</{name} {self.nonce}>"


def make_marks(secret: str | None, seed: int, *data: str) -> Marks:
    """Marks for a prompt with this material: the same for the same secret, seed and material.

    `secret` is a benchmark run's; without one the seed and the material alone decide, so that an answer can be had
    again. The material cannot hold the nonce in either case: the nonce is a hash of it.
    """
    said = json.dumps([seed, *data]).encode("ascii")
    return Marks(hmac.new((secret or "").encode(), said, hashlib.sha256).hexdigest()[:DIGITS])


def as_data(text: str) -> str:
    """Text of a user, a model or a file in which nothing can be read as a mark of a prompt.

    The bracket that begins a mark becomes `‹`, and the one that ends it `›`; so do those of a chat template's `[INST]`.
    Everything else stays, so `x < 5` and `<b>` do too. Marks are found however they are written: unclosed, with
    attributes, in wide or look-alike characters, with invisible ones or spaces between, or as entities.
    """
    text = _SQUARE.sub(r"‹\1›", text)  # Mistral's and Llama 2's
    if not _OPEN.search(text):
        return text
    stream, spans = _fold(text)
    pieces, last = list[str](), 0
    for mark in _MARK.finditer(stream):
        named = mark.end() - len(mark[0].lstrip("<"))
        places = [(place, "‹") for place in range(mark.start(), named)]
        closing = stream.find(">", named, named + _REACH)
        if closing > 0 and stream.find("<", named, closing) < 0:
            places.append((closing, "›"))
        for place, bracket in places:
            start, end = spans[place]
            pieces += [text[last:start], bracket]
            last = end
    return "".join([*pieces, text[last:]])


def _attribute(text: str) -> str:
    """On one line, without what could end an attribute or a mark."""
    return as_data(" ".join(text.split())).translate(str.maketrans('<>"', "‹›'"))


def _fold(text: str) -> tuple[str, list[tuple[int, int]]]:
    """A text's letters, digits and brackets in plain spelling, and where each stands in it."""
    stream, spans = list[str](), list[tuple[int, int]]()
    for start, end, character in _units(text):
        folded = _plain(character)
        stream.append(folded)
        spans += [(start, end)] * len(folded)
    return "".join(stream), spans


def _units(text: str) -> Iterator[tuple[int, int, str]]:
    for unit in _UNIT.finditer(text):
        found = unit[0]
        if len(found) > 1:
            found = _ESCAPED.get(found.lower()) or _unescape(found)
        yield unit.start(), unit.end(), found


def _unescape(entity: str) -> str:
    plain = html.unescape("&" + re.sub(r"(?i)^&(?:amp;)*", "", entity))
    return plain if len(plain) < len(entity) else ""


@lru_cache(maxsize=8192)
def _plain(text: str) -> str:
    """Its letters and digits, small and without accents, and its brackets and bars; nothing of anything else."""
    text = "".join(chr(ord(c) - 0xE0000) if 0xE0020 <= ord(c) < 0xE007F else c for c in text)
    text = unicodedata.normalize("NFKD", text).casefold().translate(_ALIKE)
    return "".join(c for c in text if c in "<>|" or (c.isalnum() and c not in _FILLERS))
