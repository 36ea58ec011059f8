"""GBNF grammar for the embedded model: it can ask the reader something, and state nothing."""

from __future__ import annotations

# The beginnings speak to the reader, so that what follows presupposes little about anybody else.
ASKS = (
    "Would you ", "What would you ", "How would you ", "When would you ", "Whom would you ",
)  # fmt: skip
LONGEST = 120  # characters of a question after its beginning


def asking_grammar() -> str:
    """One question to the reader, in small letters and without names or numbers."""
    openers = " | ".join(f'"{opener}"' for opener in ASKS)
    return f'root ::= ({openers}) c{{10,{LONGEST}}} "?"\nc ::= [a-z ,\'-]\n'
