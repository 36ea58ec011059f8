"""A connection to a Ray cluster, which sends no usage statistics, shows no dashboard and repeats no worker's prints."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from multiplex.errors import MultiplexError, UsageError

LOCAL = "local"
PATIENCE = 10.0  # seconds for a cluster to take a connection


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """Ray's module, connected to the cluster at `address`; `local` starts one on this machine that ends with the block.

    Raises:
        UsageError: Ray is not installed.
        MultiplexError: the cluster cannot be reached.
    """
    if find_spec("ray") is None:
        raise UsageError('--ray needs Ray; install it with: pip install "multiplex-worldviews[ray]"')
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # what Ray would warn of at every start
    _knock(address)
    import ray

    try:
        ray.init(
            address=address if address != LOCAL else LOCAL,
            include_dashboard=False if address == LOCAL else None,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        said = " ".join(str(error).split())
        raise MultiplexError(f"--ray {address}: no cluster can be reached there ({said[:200]})") from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Raises MultiplexError where nothing listens at HOST:PORT: Ray would try it for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isascii() or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise MultiplexError(f"--ray {address}: no cluster can be reached there ({error})") from error


def cores(ray: Any) -> int:
    """How many cores the cluster has now, at least 1."""
    return max(1, int(ray.cluster_resources().get("CPU", 1)))


def last_line(error: BaseException) -> str:
    """What an error says in the end: the error of a remote function is its whole traceback."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200] if lines else type(error).__name__


def other_version(here: str, driver: str) -> str:
    """That a worker's version of this package is not its driver's, as a message goes on after the worker's name."""
    return f"has version {here} of multiplex, this process {driver}; install one on every node"
