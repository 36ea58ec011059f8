"""Who may call: API keys from the environment, and where a server without any may listen."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from time import monotonic
from unicodedata import normalize

from multiplex.errors import UsageError
from multiplex.serve.http.tally import MINUTE, EventTally

VARIABLE = "MULTIPLEX_API_KEYS"
SHORTEST = 16  # characters of a key
FREE = 20  # wrong keys of one peer in a minute that are refused at once
PAUSE = 1.0  # seconds until each further one is
WAITING = 16  # of one peer that may wait so
PEERS = 10_000  # whose wrong keys are remembered


class Keys:
    """The keys that a server takes. It holds their digests only; without any, everybody may call."""

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._digests = [_digest(key) for key in keys]

    @classmethod
    def from_environment(cls) -> Keys:
        """The keys of MULTIPLEX_API_KEYS, with commas between them.

        Raises:
            UsageError: it is set and names none, which would open a server that was meant to be closed; or a key is so
                short that it could be guessed.
        """
        given = os.environ.get(VARIABLE)
        keys = [key.strip() for key in (given or "").split(",") if key.strip()]
        if given is not None and not keys:
            raise UsageError(f"{VARIABLE} is set but holds no key; unset it, or give keys with commas between them")
        for number, key in enumerate(keys, 1):
            if len(key) < SHORTEST:
                said = f"{VARIABLE}: key {number} has {len(key)} characters, and a key has at least {SHORTEST}"
                raise UsageError(f"{said}; `openssl rand -hex 32` makes one")
        return cls(map(_from_environment, keys))

    def __bool__(self) -> bool:
        return bool(self._digests)

    def authenticate(self, token: str | None) -> str | None:
        """The name of the caller with this token, such as "key 1", which logs may hold; None for a stranger.

        Every key is compared, each in constant time, so that the time tells nothing.
        """
        if not self._digests:
            return "anyone"
        given = _digest(token or "")
        matches = [hmac.compare_digest(given, digest) for digest in self._digests]
        return f"key {matches.index(True) + 1}" if any(matches) else None

    def space(self, token: str | None) -> str:
        """A prefix under which what belongs to this token is kept apart from what belongs to others."""
        return _digest(token or "").hex()[:24] if self._digests else "anyone"


class Strangers:
    """Wrong keys: each is counted, and a peer that sends many waits for each refusal. A right key never waits."""

    def __init__(self, each: Callable[[str], None], clock: Callable[[], float] = monotonic) -> None:
        self._tally, self._clock = EventTally("wrong key", each, clock), clock
        self._times: OrderedDict[str, deque[float]] = OrderedDict()
        self._waiting: Counter[str] = Counter()

    async def delay(self, peer: str) -> bool:
        """Count a wrong key of this peer and wait as long as it must; False where too many of its own wait already."""
        self._tally.count("wrong key", peer)
        now, times = self._clock(), self._times.setdefault(peer, deque(maxlen=FREE + 1))
        self._times.move_to_end(peer)
        while len(self._times) > PEERS:
            self._times.popitem(last=False)
        times.append(now)
        if len(times) <= FREE or times[0] <= now - MINUTE:
            return True
        if self._waiting[peer] >= WAITING:
            return False
        self._waiting[peer] += 1
        try:
            await asyncio.sleep(PAUSE)
        finally:
            self._waiting[peer] -= 1
            if not self._waiting[peer]:
                del self._waiting[peer]
        return True


def bearer(header: str | None) -> str | None:
    """The token of an Authorization header; None where it holds none."""
    scheme, _, token = (header or "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_host(host: str, keys: Keys, insecure: bool) -> None:
    """Refuse to open a server without keys to the network.

    Raises:
        UsageError: the host is not loopback, there are no keys, and `insecure` is not said.
    """
    if keys or insecure or is_loopback(host):
        return
    raise UsageError(
        f"--host {host}: without keys anyone who reaches this address could spend your model; "
        f"set {VARIABLE}, or say --insecure"
    )


def _digest(key: str) -> bytes:
    return hashlib.sha256(normalize("NFKC", _read(key)).encode("utf-8", "surrogatepass")).digest()


def _read(key: str) -> str:
    """The key itself where its UTF-8 was read as Latin-1, as servers read headers."""
    try:
        return key.encode("latin-1").decode("utf-8")
    except ValueError:
        return key


def _from_environment(key: str) -> str:
    """A key in whatever encoding: bytes that are no UTF-8 are Latin-1, as in a header."""
    raw = os.fsencode(key)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
