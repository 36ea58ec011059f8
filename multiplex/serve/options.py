"""Everything that a server is told when it starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from multiplex.council.personas import Council
from multiplex.llm.prices import Prices
from multiplex.llm.spec import ModelSpec


@dataclass(frozen=True)
class Limits:
    """What one server takes; over it a request is answered with 413 or 429.

    Attributes:
        body: bytes of a request.
        question: characters of the newest message.
        councils: councils under way at once.
        per_minute: questions of one key in a minute; None: as many as it likes.
        connections: open at once; one address has at most half of them.
    """

    body: int = 1_000_000
    question: int = 20_000
    councils: int = 256
    per_minute: int | None = 60
    connections: int = 1_000


@dataclass(frozen=True)
class Ui:
    """What the web page is given.

    Attributes:
        models: those that it offers beside the server's own.
        runs: a folder of benchmark runs that it shows; None: none.
        prices: what models cost, for the estimate before a question is asked.
    """

    models: tuple[ModelSpec, ...] = ()
    runs: Path | None = None
    prices: Prices = field(default_factory=Prices)


@dataclass(frozen=True)
class ServeOptions:
    """What `multiplex serve` was asked for.

    Attributes:
        councils: by name, the councils of the configuration file; each is a model `multiplex/NAME`.
        memory: a SQLite file or a postgresql:// URL that keeps conversations; None keeps none.
        keep_days: days after which a conversation or an exchange of the page that nobody went on with is deleted;
            None: never.
        cors: origins whose pages may call; none by default.
        ui: the web page at `/`; None: there is none.
        grace: seconds that running questions have to finish when the server is told to stop.
    """

    spec: ModelSpec
    voice_models: Mapping[str, ModelSpec] = field(default_factory=dict)
    councils: Mapping[str, Council] = field(default_factory=dict)
    host: str = "127.0.0.1"
    port: int = 8000
    memory: str | None = None
    keep_days: float | None = None
    limits: Limits = Limits()
    cors: tuple[str, ...] = ()
    ui: Ui | None = None
    grace: float = 60.0
    insecure: bool = False
    log_content: bool = False
