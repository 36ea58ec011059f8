"""GBNF grammars for the embedded model: whole sentences, no quotation marks, no talk of itself.

Without a grammar a small model runs past its limit, opens lists and headings, invents quotations, and
introduces itself as a language model. The bounds are generous: a sentence that reaches one is ended there.
"""

from __future__ import annotations

from collections.abc import Sequence

OPENER = "Consider "  # begins a voice's last sentence: our word, not the model's

_RULES = r"""
s ::= first rest
t ::= [A-Z] rest
first ::= [B-HJ-Z] c | "A" [a-rt-z ] | "I" [a-z]
rest ::= c{{30,400}} [.!?]
c ::= {characters}
"""
_ASCII = r"""[ $%&'(),/0-9:;=@A-Za-z-]"""  # printable, less sentence ends, quotation marks and markup
_ANY = r"""[^.!?\x00-\x1f"“”«»*#_`<>{}|\[\]\\。！？؟।]"""
_ANY_RULES = r"""
s ::= c{{10,400}} [.!?。！？؟।]
t ::= s
c ::= {characters}
"""


def _grammar(root: str, question: str) -> str:
    rules = _RULES.format(characters=_ASCII) if question.isascii() else _ANY_RULES.format(characters=_ANY)
    return f"root ::= {root}{rules}"


def voice_grammar(question: str) -> str:
    """Two or three sentences, then on a line of its own what the reader is asked to consider."""
    last = f'"{OPENER}" rest' if question.isascii() else "t"
    return _grammar(rf's " " t (" " t)? "\n" {last}', question)


def connecting_grammar(question: str, titles: Sequence[str]) -> str:
    """Which two voices stand closest, which two furthest apart, and in what; both by name, from `titles`.

    Closest and furthest are relative: the form never makes the model assert an agreement.
    """
    pairs = " | ".join(
        f"{quoted(first + ' and ')} ({' | '.join(quoted(other) for other in titles if other != first)})"
        for first in titles
    )
    rest = "rest" if question.isascii() else "s"
    root = f'"Closest to each other are the " pair " voices:" {rest} " Furthest apart are the " pair " voices:" {rest}'
    return f"{_grammar(root, question)}pair ::= {pairs}\n"


def quoted(text: str) -> str:
    """A GBNF literal."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
