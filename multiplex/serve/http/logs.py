"""Structured logs: one JSON object a line on standard error. What people ask stays out unless it is asked for."""

from __future__ import annotations

import json
import logging
import traceback
from datetime import UTC, datetime
from typing import Any

from multiplex.text.terminal import escape_json

LOGGER = logging.getLogger("multiplex.serve")


class Line(logging.Formatter):
    """A record as one JSON object: time, level, event, and the fields given as `extra={"fields": ...}`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        said = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[0] is not None:
            kind, _, trace = record.exc_info
            said["error"] = kind.__name__  # its words may quote what was asked
            said["where"] = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(trace)][-5:]
        return escape_json(json.dumps(said, ensure_ascii=False))


def configure() -> None:
    """Send this server's and uvicorn's lines to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(Line())
    for name in ("multiplex.serve", "uvicorn", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = ([handler] if name != "uvicorn.error" else []), name == "uvicorn.error"
        logger.setLevel(logging.INFO)
    logging.getLogger("uvicorn.access").disabled = True
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)  # a database that is away is told with the question


def log(event: str, *, level: int = logging.INFO, error: BaseException | None = None, **fields: Any) -> None:
    """One line; fields that are None are left out."""
    kept = {name: value for name, value in fields.items() if value is not None}
    LOGGER.log(level, event, extra={"fields": kept}, exc_info=error)
