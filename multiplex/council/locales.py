"""What our own code writes into an answer, in the language of the question (`prompts/locales/CODE.yaml`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Template
from typing import Annotated, Any, Literal

from pydantic import StringConstraints

from multiplex.content import content_root, read_model
from multiplex.council.positions import Part, Text
from multiplex.errors import ContentError, UsageError

ENGLISH = "en"


class Locale(Part):
    """One file of `prompts/locales/`.

    Attributes:
        code: ISO 639-1; the file's name.
        name: the language's own name for itself.
        english: its English name, for prompts.
        direction: in which it is written.
        separator: what stands between the items of a list.
        titles: by the English title of a built-in persona, the title in this language.
        texts: by key, what is written; `$fields` are filled in by `say`. Keys and fields are those of `en.yaml`.
    """

    code: Text
    name: Text
    english: Text
    direction: Literal["ltr", "rtl"]
    separator: Annotated[str, StringConstraints(min_length=1)]
    titles: dict[Text, Text]
    texts: dict[Text, Text]

    def say(self, key: str, /, **fields: object) -> str:
        """The text of a key with its fields filled in; a field is data and never read as a template.

        Raises:
            KeyError: there is no such key, or a field of it has no value.
        """
        return Template(self.texts[key]).substitute({name: str(value) for name, value in fields.items()})

    def title(self, english: str) -> str:
        """A persona's title in this language; one that is not built in stays as its file has it."""
        return self.titles.get(english, english)

    def title_list(self, english: Iterable[str]) -> str:
        """Titles as a list in this language."""
        return self.separator.join(map(self.title, english))


@dataclass(frozen=True)
class Language:
    """The language of an answer.

    Attributes:
        code: ISO 639 code; empty where the question's language was not recognised.
        chosen: whether the caller chose it, so that the models are asked for it by name; else they answer in the
            language of the question.
    """

    code: str = ENGLISH
    chosen: bool = False

    @property
    def locale(self) -> Locale:
        """What our own code writes in; English where the language has no file."""
        return locale_of(self.code)

    @property
    def asked_for(self) -> str:
        """How a prompt names it."""
        return self.locale.english if self.chosen else "the language of the question"


IN_ENGLISH = Language()


def language_of(asked: Mapping[str, Any]) -> Language:
    """The language of a council's state or of one voice's turn (`council/state.py`); English where none is named."""
    return Language(asked.get("language", ENGLISH), asked.get("language_chosen", False))


@cache
def languages() -> tuple[str, ...]:
    """The codes of the languages that have a file, sorted."""
    return tuple(sorted(path.stem for path in _folder().glob("*.yaml")))


def locale_of(code: str) -> Locale:
    """The locale of a language; English where it has no file.

    Raises:
        ContentError: its file is wrong.
    """
    return _read(code if _has_file(code) else ENGLISH)


def checked_language(code: str) -> str:
    """The code of a language that an answer can be asked for in.

    Raises:
        UsageError: it has no file.
    """
    if code not in languages():
        raise UsageError(f"--language {code!r}: there are {', '.join(languages())}; others: ask in the language itself")
    return code


def fallback_note(code: str) -> str | None:
    """Why our own words are in English though the question is not; None where they are in its language."""
    if _has_file(code):
        return None
    what = f"there is no file of it for the question's language ({code})" if code else "its language was not recognised"
    return f"what the program itself writes into this answer is in English: {what}"


@cache
def _has_file(code: str) -> bool:
    """Whether a language has a file; no folder is listed, which `langgraph dev` forbids while a run is under way."""
    return code.isalpha() and (_folder() / f"{code}.yaml").is_file()


@cache
def _read(code: str) -> Locale:
    path = _folder() / f"{code}.yaml"
    locale = read_model(path, Locale)
    if locale.code != code:
        raise ContentError(path, f"must be {code!r}, the name of the file", field="code")
    if code != ENGLISH:
        _compare(path, locale, _read(ENGLISH))
    return locale


def _compare(path: Path, locale: Locale, english: Locale) -> None:
    """Whether a file has all that `en.yaml` has, and nothing else.

    Raises:
        ContentError: a key or a field is missing or unknown.
    """
    for part in ("titles", "texts"):
        own, other = getattr(locale, part), getattr(english, part)
        for key in sorted(own.keys() ^ other.keys()):
            raise ContentError(path, "no such key in en.yaml" if key in own else "is missing", field=f"{part}.{key}")
        for key, text in own.items():
            if (found := _fields(text)) != (wanted := _fields(other[key])):
                what = f"has the fields {sorted(found)}, en.yaml {sorted(wanted)}"
                raise ContentError(path, what, field=f"{part}.{key}")


def _fields(text: str) -> set[str]:
    template = Template(text)
    return set(template.get_identifiers()) if template.is_valid() else {"a stray $"}


def _folder() -> Path:
    return content_root() / "prompts" / "locales"
