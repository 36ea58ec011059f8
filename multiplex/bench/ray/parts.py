"""Measures parts on a Ray cluster: a task a part, which Ray starts again elsewhere where its node dies.

Tasks and not actors: one that holds its core for the whole job could not be made anew while others hold theirs.
A worker process keeps the models that its first part loaded.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from multiplex.bench.parts.plan import BrokenPartError, CorpusPart, Measuring, PartManifest
from multiplex.bench.ray.cluster import connected, cores, last_line, other_version
from multiplex.errors import MultiplexError, UsageError

AHEAD = 2  # parts that wait at each core, so that none is idle; no more, so that the driver holds few


def measure_on_ray(
    address: str, parts: Sequence[CorpusPart], measuring: Measuring
) -> Iterator[tuple[CorpusPart, PartManifest | BrokenPartError]]:
    """Measure parts on the cluster at `address`, which must see the same folders; each as it is completed.

    Raises:
        UsageError: a worker's node has another version or content than this process.
        MultiplexError: the cluster cannot be reached, or the disk refuses; others go on as far as they are.
    """
    if not parts:
        return
    with connected(address) as ray:
        task = ray.remote(num_cpus=1, max_retries=-1)(_measured)
        waiting, running = iter(parts), dict[Any, CorpusPart]()
        while True:
            for part in waiting:
                running[task.remote(part, measuring)] = part
                if len(running) >= (1 + AHEAD) * cores(ray):
                    break
            if not running:
                return
            (ready, *_), _ = ray.wait(list(running))
            part = running.pop(ready)
            try:
                made = ray.get(ready)
            except ray.exceptions.RayError as error:
                raise MultiplexError(f"{part.source}: Ray could not measure it ({last_line(error)})") from error
            if isinstance(made, MultiplexError) and not isinstance(made, BrokenPartError):
                raise made
            yield part, made


def _measured(part: CorpusPart, measuring: Measuring) -> PartManifest | MultiplexError:
    """On a worker. An error of ours comes back as it is: Ray would wrap it in a traceback."""
    from multiplex.bench.parts.measure import measure_part

    try:
        version, content = _installed()
        if version != measuring.version:
            return UsageError(f"Ray's worker on {platform.node()} {other_version(version, measuring.version)}")
        if content != measuring.content:
            return UsageError(f"Ray's worker on {platform.node()} has other word lists; install the same on every node")
        return measure_part(part, measuring)
    except MultiplexError as error:
        return error


@cache
def _installed() -> tuple[str, str]:
    """The version and the content that a process measures with, which it loads once."""
    from multiplex.bench.execute.scoring import Scoring

    here = Scoring()
    return here.version, here.content
