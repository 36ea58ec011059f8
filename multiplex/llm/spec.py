"""What a model is: where it is called, by which name, and how it wants to be used."""

from __future__ import annotations

import os
import socket
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from multiplex.errors import UsageError
from multiplex.llm.clients import openai_address
from multiplex.llm.types import Call
from multiplex.settings import Check, Settings, Synthesis, parse_words

LOCAL = "local"
OPENAI = "openai"
OPENAI_KEY = "OPENAI_API_KEY"
OLLAMA = ("127.0.0.1", 11434)
ESSAY_WORDS = (700, 950)
QUESTION_LIMIT = 20_000


class ModelSpec(BaseModel):
    """One model at one endpoint, and the limits it is called with.

    Attributes:
        name: as the user wrote it: `local`, `local:FILE`, `openai:NAME`, or `NAME` at `base_url`.
        model: the name sent in the request.
        base_url: the endpoint; None for OpenAI itself and for the embedded server, which starts when it is called.
        api_key_env: the environment variable that holds the key; None sends no key.
        gguf: for `local:FILE`, a GGUF file or `sha256:HEX`; None is the embedded model.
        wrapped: the class of LangChain's chat model that calls it, with parameters of its own; else None.
        unavailable: why the model cannot be had: every call fails with it, and nothing is fetched; else None.
        synthesis: `composed` builds the answer of the sourcebooks' positions nearest to the question (for small
            models, which say false things of traditions); `written` lets the model write voices and an essay.
        check: what an essay passes through before it is shown: `none`, `text` (names and numbers against the
            voices, no call) or `model` (that, and one call that reads the essay against the voices).
        words: the least and the most words of an essay.
        voice_tokens, synthesis_tokens, answer_tokens: most tokens of a reply; None sets no limit.
        temperature: None leaves it to the endpoint.
        user: who asks, in the endpoint's own accounts (OpenAI's `user`); None sends nothing.
        timeout: seconds in which an endpoint says nothing; a whole reply may take ten times as long.
        retries: further attempts after a failed call; as many again after a 429 that calls sent at once had before it.
        limit: calls under way at once at this endpoint and model.
        question_limit: most characters of a question to a model that is not embedded; no part of what a record holds.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    model: str
    base_url: str | None = None
    api_key_env: str | None = None
    gguf: str | None = None
    wrapped: str | None = None
    unavailable: str | None = None
    synthesis: Synthesis = "written"
    check: Check = "model"
    words: tuple[int, int] = ESSAY_WORDS
    voice_tokens: int | None = None
    synthesis_tokens: int | None = None
    answer_tokens: int | None = None
    temperature: float | None = 0.7
    user: str | None = None
    timeout: float = 120.0
    retries: int = 3
    limit: int = 20
    question_limit: int = Field(default=QUESTION_LIMIT, exclude=True)

    @property
    def local(self) -> bool:
        """Whether this is a model run by multiplex itself."""
        return self.name == LOCAL or self.name.startswith(f"{LOCAL}:")

    @property
    def small(self) -> bool:
        """Whether the model states nothing of a tradition itself: it chooses positions and asks."""
        return self.synthesis == "composed"

    @property
    def place(self) -> str:
        """The endpoint as it may be shown: no user, password or query."""
        if self.local:
            return "this machine"
        if self.wrapped is not None:
            return f"LangChain's {self.wrapped}"
        if self.base_url is None:
            return "OpenAI"
        parts = urlsplit(self.base_url)
        host = parts.hostname or ""
        return urlunsplit((parts.scheme, f"{host}:{parts.port}" if parts.port else host, parts.path, "", ""))


def parse_spec(name: str, base_url: str | None = None, api_key_env: str | None = None) -> ModelSpec:
    """The spec that a model's name means.

    A key is sent only where it belongs: `openai:NAME` reads OPENAI_API_KEY, and is called where OPENAI_BASE_URL says;
    another endpoint gets the key of `api_key_env`, and none where that is not given.

    Raises:
        UsageError: the name says nothing of where the model runs, the URL is no http(s) address, or it names a user
            beside a key.
    """
    name = name.strip()
    kind, _, rest = name.partition(":")
    if name == LOCAL or (kind == LOCAL and rest):
        return ModelSpec(
            name=name,
            model=LOCAL,
            gguf=rest or None,
            synthesis="composed",
            answer_tokens=200,
            timeout=900.0,
            retries=1,
            limit=8,
        )
    if base_url is not None:
        base_url = base_url.strip()
        _check_url(base_url)
        if api_key_env is not None and urlsplit(base_url).username is not None:
            raise UsageError(
                "--base-url names a user and --api-key-env a key, and an endpoint is sent one of them; leave one out"
            )
    if kind == OPENAI and rest and base_url is None:
        if (address := openai_address()) is not None:
            _check_url(address, "OPENAI_BASE_URL")
        return ModelSpec(name=name, model=rest, base_url=address, api_key_env=api_key_env or OPENAI_KEY)
    if not name:
        raise UsageError("the model has no name; use local, openai:NAME, or NAME with --base-url URL")
    if base_url is None:
        raise UsageError(f"model {name!r}: say where it runs: openai:NAME, NAME with --base-url URL, or local")
    return ModelSpec(name=name, model=rest if kind == OPENAI else name, base_url=base_url, api_key_env=api_key_env)


def _check_url(url: str, named_by: str = "--base-url") -> None:
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        valid = False
    if not valid:
        raise UsageError(f"{named_by} is no http(s) address; it looks like http://127.0.0.1:11434/v1")


def resolve_model(settings: Settings, name: str | None = None) -> ModelSpec:
    """The spec of `name`, or of the model that the settings name, or of the embedded one.

    Raises:
        UsageError: the name does not say where the model runs.
    """
    name = name or settings.model
    if name is None and settings.base_url is not None:
        raise UsageError("--base-url needs --model NAME: which model should be called there?")
    return with_settings(parse_spec(name or LOCAL, settings.base_url, settings.api_key_env), settings)


def with_settings(spec: ModelSpec, settings: Settings) -> ModelSpec:
    """The spec with what the settings say of every model.

    Raises:
        UsageError: the range of words is none.
    """
    overrides = {
        field: value
        for field in ("synthesis", "check", "timeout", "retries", "limit", "voice_tokens")
        if (value := getattr(settings, field)) is not None
    }
    if spec.local and settings.voice_tokens is not None:
        overrides["answer_tokens"] = settings.voice_tokens
    if settings.words is not None:
        overrides["words"] = parse_words(settings.words)
    return spec.model_copy(update=overrides)


def limit_name(spec: ModelSpec) -> str:
    """Under which name a limit of tokens is first sent; OpenAI itself has given the old one up."""
    return "max_completion_tokens" if spec.base_url is None and not spec.local else "max_tokens"


def room_advice(spec: ModelSpec, call: Call) -> str:
    """What gives a call more room whose tokens were spent before its answer began."""
    if spec.local or "multiplex:voice" in call.tags:
        return "raise MULTIPLEX_VOICE_TOKENS" + (f" above {call.max_tokens}" if call.max_tokens else "")
    if call.max_tokens is None:
        return "its endpoint set the limit; raise it there"
    return f"{call.max_tokens} were allowed; ask for more, or choose a model that thinks less"


ModelSource = Literal["--model", "MULTIPLEX_MODEL", "the configuration file", "no other model is named"]


def model_source(flag: str | None) -> ModelSource:
    """Where the model's name comes from, for the line that says which model is used and why."""
    if flag:
        return "--model"
    if os.environ.get("MULTIPLEX_MODEL"):
        return "MULTIPLEX_MODEL"
    return "the configuration file" if Settings().model else "no other model is named"


def unused_endpoints() -> list[str]:
    """How to use an API key or an Ollama that is there though no model was named; nothing is sent to either."""
    found = []
    if os.environ.get(OPENAI_KEY):
        found.append(f"{OPENAI_KEY} is set: --model openai:NAME would use it")
    address = _ollama_address(os.environ.get("OLLAMA_HOST", "").strip())
    if address is None and _listens(*OLLAMA):
        address = f"http://{OLLAMA[0]}:{OLLAMA[1]}"
    if address is not None:
        found.append(f"Ollama is here: --model NAME --base-url {address}/v1 would use it")
    return found


def _ollama_address(host: str) -> str | None:
    """Where OLLAMA_HOST says that Ollama is, read as Ollama reads it; None where it does not say so."""
    scheme, _, rest = host.rpartition("://")
    try:
        parts = urlsplit(f"{scheme or 'http'}://{rest}")
        name, port = parts.hostname, parts.port or {"http": 80, "https": 443}.get(scheme, OLLAMA[1])
    except ValueError:
        return None
    if not host or parts.scheme not in ("http", "https"):
        return None
    name = OLLAMA[0] if name in (None, "0.0.0.0", "::") else name  # noqa: S104  (an address to listen on, none to call)
    return f"{parts.scheme}://{f'[{name}]' if ':' in name else name}:{port}"


def _listens(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=0.2):
            return True
    except OSError:
        return False


def api_key(spec: ModelSpec) -> SecretStr | None:
    """The key for a spec's endpoint; None where the endpoint asks for none.

    Raises:
        UsageError: the variable that should hold it is not set, or holds what no key does.
    """
    if spec.api_key_env is None:
        return None
    value = os.environ.get(spec.api_key_env, "").strip()
    if not value:
        raise UsageError(f"model {spec.name!r} needs a key: set {spec.api_key_env}, or name another with --api-key-env")
    wrong = next((letter for letter in value if not letter.isascii() or not letter.isprintable()), None)
    if wrong is not None:
        raise UsageError(
            f"the key in {spec.api_key_env} holds a character that no key has (U+{ord(wrong):04X}); copy the key again"
        )
    return SecretStr(value)
