"""Who may call: API keys from the environment, and where a server without any may listen."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterable
from ipaddress import ip_address

from multiplex.errors import UsageError

VARIABLE = "MULTIPLEX_API_KEYS"


class Keys:
    """The keys that a server takes. It holds their digests only; without any, everybody may call."""

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._digests = [_digest(key) for key in keys]

    @classmethod
    def from_environment(cls) -> Keys:
        """The keys of MULTIPLEX_API_KEYS, with commas between them.

        Raises:
            UsageError: it is set and names none, which would open a server that was meant to be closed.
        """
        given = os.environ.get(VARIABLE)
        keys = [key.strip() for key in (given or "").split(",") if key.strip()]
        if given is not None and not keys:
            raise UsageError(f"{VARIABLE} is set but holds no key; unset it, or give keys with commas between them")
        return cls(keys)

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
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
