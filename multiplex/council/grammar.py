"""GBNF grammars for the embedded model: whole sentences, no quotation marks, no talk of itself.

Without a grammar a small model runs past its limit, opens lists and headings, invents quotations, and introduces
itself ("As an AI", "I am"); such beginnings, and an early "Consider", are not in the language. The bounds are
generous: a sentence that reaches one is ended there.
"""

from __future__ import annotations

from collections.abc import Sequence

OPENER = "Consider "  # begins a voice's last sentence: our word, not the model's

_RULES = r"""
s ::= first rest
first ::= [BD-HJ-Z] c | "A" [a-rt-z ] | "I" [a-z] | "C" ([a-np-z] | "o" ([a-mo-z] | "n" [a-rt-z]))
rest ::= c{{30,400}} [.!?]
c ::= {characters}
"""
_ASCII = r"""[ $%&'(),/0-9:;=@A-Za-z-]"""  # printable, less sentence ends, quotation marks and markup
_ANY = r"""[^.!?\x00-\x1f"“”«»*#_`<>{}|\[\]\\。！？؟।]"""
_ANY_RULES = r"""
s ::= c{{10,400}} [.!?。！？؟।]
c ::= {characters}
"""


def _grammar(root: str, question: str) -> str:
    rules = _RULES.format(characters=_ASCII) if question.isascii() else _ANY_RULES.format(characters=_ANY)
    return f"root ::= {root}{rules}"


def voice_grammar(question: str) -> str:
    """Two sentences, then on a line of its own what the reader is asked to consider."""
    last = f'"{OPENER}" rest' if question.isascii() else "s"
    return _grammar(rf's " " s "\n" {last}', question)


def without_opener(text: str) -> str:
    """A voice's own words: the opener that the grammar puts before its last sentence is ours."""
    return "\n\n".join(line.removeprefix(OPENER) for line in text.splitlines())


def connecting_grammar(question: str, leads: Sequence[str]) -> str:
    """After each lead, which is ours, a phrase of the model's."""
    characters = _ASCII.replace(",", "").replace(";", "").replace(":", "") if question.isascii() else _ANY
    forms = " ".join(f"{quoted(lead)} phrase" for lead in leads)
    return f'root ::= {forms} "."\nphrase ::= [A-Za-z] c{{10,100}}\nc ::= {characters}\n'


def quoted(text: str) -> str:
    """A GBNF literal."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
