"""Where the program begins: an interruption while its commands are being imported is told in a line."""

from __future__ import annotations

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line."""
    try:
        from multiplex.cli.main import main as run

        run()
    except KeyboardInterrupt:
        print("multiplex: interrupted", file=sys.stderr)
        sys.exit(130)
