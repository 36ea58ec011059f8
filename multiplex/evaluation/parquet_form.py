"""What Parquet needs, and its rows as Python has them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from multiplex.errors import UsageError

if TYPE_CHECKING:
    from pyarrow import RecordBatch


def check_parquet(path: str) -> None:
    """Raises UsageError where Parquet, which `path` is, can be neither read nor written, for want of pyarrow."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f'{path}: Parquet needs pyarrow; install it with: pip install "multiplex-worldviews[parquet]"'
        ) from error


def parquet_rows(batch: RecordBatch) -> Iterator[dict[str, Any] | str]:
    """The rows of a batch; for one with a value that Python cannot hold, why."""
    try:
        rows = batch.to_pylist()
    except ValueError:
        rows = []  # read one by one below
    yield from rows
    for number in range(len(rows), batch.num_rows):
        try:
            yield batch.slice(number, 1).to_pylist()[0]
        except UnicodeDecodeError:
            yield "not UTF-8"
        except ValueError as error:
            yield f"a value that cannot be read ({str(error).splitlines()[0]})"
