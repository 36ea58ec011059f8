"""Settings, and which of them wins: a flag over the environment over the configuration file."""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from platformdirs import user_config_path
from pydantic import Field, StringConstraints, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from multiplex.errors import ContentError, UsageError, first_invalid

Synthesis = Literal["composed", "written"]
Check = Literal["none", "text", "model"]
CouncilName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=64)]


def config_file() -> Path:
    """The configuration file: `MULTIPLEX_CONFIG`, else `multiplex/config.toml` in the user's configuration folder."""
    named = os.environ.get("MULTIPLEX_CONFIG")
    return Path(named) if named else user_config_path("multiplex") / "config.toml"


class Settings(BaseSettings):
    """Every setting, each an environment variable MULTIPLEX_NAME or a key of the configuration file.

    Attributes:
        model, base_url, api_key_env: as the flags of the same names.
        synthesis: overrides the model's own way of synthesis: `composed` or `written`.
        check: what an essay passes through before it is shown: `none`, `text` or `model`.
        words: how long an essay is, such as `700-950`.
        timeout: seconds in which an endpoint says nothing; a whole reply may take ten times as long.
        retries: further attempts after a failed call.
        limit: calls under way at once.
        voice_tokens: most tokens of a voice, and of the embedded model's plain answer.
        councils: by name, the personas of a council: built-in names, or files and folders as seen from the file.
    """

    model_config = SettingsConfigDict(env_prefix="MULTIPLEX_", extra="forbid", frozen=True, env_ignore_empty=True)

    model: str | None = None
    base_url: str | None = None
    api_key_env: str | None = None
    synthesis: Synthesis | None = None
    check: Check | None = None
    words: str | None = None
    timeout: float | None = Field(default=None, gt=0)
    retries: int | None = Field(default=None, ge=0, le=20)
    limit: int | None = Field(default=None, ge=1)
    voice_tokens: int | None = Field(default=None, ge=16)
    councils: dict[CouncilName, list[str]] = {}

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource, dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:  # fmt: skip
        """Flags, then environment, then file: no .env file is read, since it may belong to another project."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=config_file())


def parse_words(words: str) -> tuple[int, int]:
    """The least and the most words of an essay, from "700-950".

    Raises:
        UsageError: it is no such range of 50 to 5,000 words.
    """
    match = re.fullmatch(r"\s*(\d{1,6})\s*-\s*(\d{1,6})\s*", words)
    low, high = map(int, match.groups()) if match else (0, 0)
    if not 50 <= low <= high <= 5000:
        raise UsageError(f"--words {words!r}: write the least and the most words of an essay, such as 700-950")
    return low, high


@dataclass(frozen=True)
class Shard:
    """Part `part` of `of`, from 1, of work that several machines share."""

    part: int
    of: int

    def has(self, name: str) -> bool:
        """Whether what is named so falls to this part: by the name's SHA-256, so that parts are about equal."""
        return int(hashlib.sha256(name.encode()).hexdigest()[:15], 16) % self.of == self.part - 1

    def __str__(self) -> str:
        return f"{self.part}-of-{self.of}"


def parse_shard(text: str) -> Shard:
    """The shard that "3/8" means.

    Raises:
        UsageError: it means none.
    """
    match = re.fullmatch(r"\s*(\d{1,6})\s*/\s*(\d{1,6})\s*", text)
    part, of = map(int, match.groups()) if match else (0, 0)
    if not 1 <= part <= of:
        raise UsageError(f"--shard {text!r}: write which part of how many, such as 3/8")
    return Shard(part, of)


def load_settings(**flags: Any) -> Settings:
    """The settings, with every flag that is not None winning.

    Raises:
        UsageError: a value of a flag or the environment is wrong.
        ContentError: the configuration file is wrong; a file named by MULTIPLEX_CONFIG must be there.
    """
    path = config_file()
    if "MULTIPLEX_CONFIG" in os.environ and not path.is_file():
        raise ContentError(path, "MULTIPLEX_CONFIG names it, but no file is there")
    try:
        return Settings(**{name: value for name, value in flags.items() if value is not None})
    except tomllib.TOMLDecodeError as error:
        raise ContentError(path, f"not valid TOML: {error}") from error
    except OSError as error:
        raise ContentError(path, f"cannot be read: {error.strerror or error}") from error
    except ValidationError as error:
        place, problem = first_invalid(error)
        field = ".".join(str(part) for part in place if part != "[key]")
        name = str(place[0])
        flag = f"--{name.replace('_', '-')}, " if name in flags else ""
        where = f"{flag}MULTIPLEX_{name.upper()} or {path}"
        raise UsageError(f"setting {field!r} ({where}): {problem}") from error
