"""Fetches the embedded model with a progress bar on standard error."""

from __future__ import annotations

from pathlib import Path

from rich.text import Text

from multiplex.text.console import SafeConsole


def ensure_weights(gguf: str | None, *, silent: bool = False) -> Path:
    """The model file, fetched with a progress bar on standard error if it is not there.

    Raises:
        WeightsError: it cannot be had.
    """
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    from multiplex.llm.local.download import ensure
    from multiplex.llm.local.weights import locate
    from multiplex.llm.local.weights import plan as plan_weights

    console = SafeConsole(stderr=True, quiet=silent)
    if gguf is not None or locate() is not None:
        return ensure(gguf)
    console.print(Text(str(plan_weights())), soft_wrap=True)
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal or silent) as bar:
        task = bar.add_task("model")
        return ensure(
            None,
            lambda here, all_: bar.update(task, completed=here, total=all_),
            lambda line: console.print(Text(line), soft_wrap=True),
        )
