"""GBNF grammar for the embedded model: it chooses among statements, and it asks; it cannot state anything."""

from __future__ import annotations

# The beginnings speak to the reader, so that what follows presupposes little about anybody else.
ASKS = (
    "Would you ", "Could you ", "What would you ", "How would you ", "When would you ", "Whom would you ",
)  # fmt: skip
LETTERS = "ABCDEF"
LONGEST = 120  # characters of a question after its beginning


def choosing_grammar(choices: int) -> str:
    """One or two letters, then on a line of its own one question, in small letters and without names or numbers."""
    letters = LETTERS[:choices]
    second = f' (" " [{letters}])?' if choices > 1 else ""
    openers = " | ".join(f'"{opener}"' for opener in ASKS)
    return f'root ::= [{letters}]{second} "\\n" ask\nask ::= ({openers}) c{{10,{LONGEST}}} "?"\nc ::= [a-z ,\'-]\n'
