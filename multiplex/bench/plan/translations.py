"""Translations of a question set: a file for each language beside the set's own, `NAME.CODE.csv`, with the same ids."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from multiplex.bench.plan.questions import Question, QuestionSet, find_file, read_lines
from multiplex.errors import ContentError, UsageError

ITSELF = "en"
"""What the languages of a command call the set itself, whose questions bear no language."""
_CODE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_FEW = 5  # ids that an error names

Translations = Mapping[str, Mapping[str, Question]]
"""By language and id the questions in it; the set itself is not among them."""


def language_name(language: str) -> str:
    """What a command and a report call a question's language."""
    return language or ITSELF


def check_codes(given: Sequence[str]) -> tuple[str, ...]:
    """The languages without repetition, the set itself first and then by the alphabet, as units are ordered by.

    Raises:
        UsageError: there is none, or one is no code such as `ar` or `pt-BR`.
    """
    for code in given:
        if not _CODE.fullmatch(code):
            raise UsageError(f"--languages {code!r}: give codes such as en, ar or pt-BR, with commas")
    if not given:
        raise UsageError("--languages names none; give codes such as en,ar, with commas")
    return tuple(sorted(set(given), key=lambda code: (code != ITSELF, code)))


def load_translations(name: str, original: QuestionSet, codes: Sequence[str]) -> dict[str, dict[str, Question]]:
    """The translations of the set `name` into these languages.

    A file has the columns of the original; `domain` and `cued` are the original's, and may be left out.

    Raises:
        UsageError: there is no file for a language.
        ContentError: a file is wrong, lacks an id, or has one that is doubled or not the original's.
    """
    own = find_file(name)
    return {code: _read(_find(own, code), original, code) for code in codes if code != ITSELF}


def in_languages(questions: Sequence[Question], codes: Sequence[str], translations: Translations) -> list[Question]:
    """Each question in every language, one after another."""
    return [question if code == ITSELF else translations[code][question.id] for question in questions for code in codes]


def _find(own: Path, code: str) -> Path:
    path = own.with_name(f"{own.stem}.{code}{own.suffix}")
    if not path.is_file():
        names = (
            file.name[len(own.stem) + 1 : -len(own.suffix)] for file in own.parent.glob(f"{own.stem}.*{own.suffix}")
        )
        there = sorted(name for name in names if _CODE.fullmatch(name))
        raise UsageError(
            f"--languages {code}: {own.stem} has no such translation ({path} is not there); there are "
            f"{', '.join([ITSELF, *there])}"
        )
    return path


def _read(path: Path, original: QuestionSet, code: str) -> dict[str, Question]:
    of = {question.id: question for question in original.questions}
    found: dict[str, Question] = {}
    for line, question in read_lines(path):
        if question.id not in of:
            raise ContentError(path, f"{question.id[:40]!r} is no question of {original.name}", line=line, field="id")
        own = of[question.id]
        if question.domain and question.domain != own.domain:
            raise ContentError(path, f"is {own.domain!r} in {original.name}", line=line, field="domain")
        if question.cued is not None and question.cued != own.cued:
            raise ContentError(path, f"is {str(own.cued).lower()} in {original.name}", line=line, field="cued")
        found[question.id] = own.model_copy(update={"question": question.question, "language": code})
    missing = [name for name in of if name not in found]
    if missing:
        named = ", ".join(missing[:_FEW]) + (", …" if len(missing) > _FEW else "")
        raise ContentError(path, f"lacks {len(missing):,} of the {len(of):,} questions of {original.name}: {named}")
    return found
