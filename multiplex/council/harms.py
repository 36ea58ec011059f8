"""Practices that harm people: one list for all personas (`agents/harms.yaml`)."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import Field

from multiplex.content import content_root, read_model
from multiplex.council.positions import Name, Part, Text
from multiplex.errors import ContentError

FILE = "harms.yaml"


class Harm(Part):
    """A practice that harms people, and the terms by which a text touches it.

    Attributes:
        terms: matched as whole words, whatever the case.
    """

    id: Name
    description: Text
    terms: Annotated[tuple[Text, ...], Field(min_length=1)]


class _File(Part):
    harms: Annotated[tuple[Harm, ...], Field(min_length=1)]


@cache
def load_harms(path: Path | None = None) -> tuple[Harm, ...]:
    """The list of harms: agents/harms.yaml, or another file of its form.

    Raises:
        ContentError: the file is wrong, an id stands twice, or a term belongs to two harms.
    """
    path = path or content_root() / "agents" / FILE
    harms = read_model(path, _File).harms
    owners: dict[str, str] = {}
    for harm in harms:
        for key in (harm.id, *map(str.casefold, harm.terms)):
            if owners.setdefault(key, harm.id) != harm.id:
                raise ContentError(path, f"{key!r} stands already under {owners[key]!r}", field=harm.id)
    if len({harm.id for harm in harms}) < len(harms):
        raise ContentError(path, "an id stands twice", field="harms")
    return harms
