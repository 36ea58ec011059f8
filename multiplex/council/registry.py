"""Councils by name: the built-in personas, and the councils of the configuration file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from multiplex.council.personas import Council, agents
from multiplex.errors import ContentError, UsageError
from multiplex.settings import config_file, load_settings


def configured() -> dict[str, Council]:
    """By name, every council of the configuration file's table [councils].

    Raises:
        ContentError: a persona in it is unknown or wrong.
    """
    return {name: _loaded(name, personas) for name, personas in load_settings().councils.items()}


def chosen(names: Iterable[str]) -> Council:
    """The council of these names: personas, persona files, folders, or councils of the configuration; none: the seven.

    A file or folder of that name comes first, then a built-in persona, then the configuration.

    Raises:
        UsageError: a name is unknown, or a persona stands there twice.
        ContentError: a persona file is wrong.
    """
    councils = load_settings().councils
    wanted: list[str | Path] = []
    for name in names:
        if name in councils and not Path(name).exists() and not (agents() / f"{name}.yaml").is_file():
            wanted += _places(councils[name])
        else:
            wanted.append(name)
    return Council.load(*wanted)


def _loaded(name: str, personas: list[str]) -> Council:
    if not personas:
        raise ContentError(config_file(), "names no persona", field=f"councils.{name}")
    try:
        return Council.load(*_places(personas))
    except ContentError:
        raise
    except UsageError as error:
        raise ContentError(config_file(), str(error), field=f"councils.{name}") from error


def _places(personas: list[str]) -> list[str | Path]:
    """Files and folders are seen from the configuration file, whatever folder the command runs in."""
    base = config_file().parent
    return [base / persona if (base / persona).exists() else persona for persona in personas]
