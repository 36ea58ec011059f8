"""Countries as surveys name them: joined under one code, and the perspective that each belongs to."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Annotated

from pydantic import ConfigDict, Field, RootModel, StringConstraints

from multiplex.content import content_root, read_model
from multiplex.errors import ContentError
from multiplex.evaluation.extraction.atlas import country_homes
from multiplex.evaluation.extraction.frames import default_frame

_SAMPLE = re.compile(r"\([^()]*\bsample\)\s*$", re.IGNORECASE)  # "Brazil (Non-national sample)"
_Code = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]


class _Countries(RootModel[dict[_Code, Annotated[tuple[str, ...], Field(min_length=2)]]]):
    model_config = ConfigDict(frozen=True)


@dataclass(frozen=True)
class Country:
    """A country of a survey.

    Attributes:
        code: ISO 3166 of three letters; for a name that is in no list, the name itself.
        name: as it is shown.
        perspective: None where it belongs to none, or to two.
    """

    code: str
    name: str
    perspective: str | None


@lru_cache(maxsize=4096)
def find_country(name: str) -> Country:
    """The country that a survey's name or ISO code means; an unknown name stands for itself, in no perspective.

    Raises:
        ContentError: eval/countries.yaml or eval/atlas.yaml is wrong.
    """
    return _known().get(_fold(_SAMPLE.sub("", name))) or Country(name.strip(), name.strip(), None)


def _fold(name: str) -> str:
    letters = unicodedata.normalize("NFKD", name).casefold()
    kept = "".join(c if c.isalnum() else " " for c in letters if not unicodedata.combining(c) and c not in ".'’")
    return " ".join(word for word in kept.split() if word != "the")


@cache
def _known() -> dict[str, Country]:
    path = content_root() / "eval" / "countries.yaml"
    homes, frame = country_homes(), default_frame()
    found: dict[str, Country] = {}
    for short, (code, name, *others) in read_model(path, _Countries).root.items():
        home = homes.get(short)
        country = Country(code, name, frame.home("", home) if home is not None else None)
        for each in {_fold(each) for each in (short, code, name, *others)}:
            if each in found:
                raise ContentError(path, f"{each!r} stands for two countries", field=short)
            found[each] = country
    return found
