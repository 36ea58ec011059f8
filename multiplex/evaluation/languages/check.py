"""Checks files of eval/languages/ and counts what they hold: python -m multiplex.evaluation.languages.check FILE ..."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from multiplex.errors import ContentError
from multiplex.evaluation.extraction.frames import default_frame
from multiplex.evaluation.extraction.gazetteer import Gazetteer
from multiplex.evaluation.languages.files import read_language


def main(paths: list[str]) -> int:
    """Print one line for each file; 1 where one is wrong."""
    gazetteer, home = Gazetteer.load(), default_frame().home
    wrong = 0
    for path in paths:
        try:
            content = read_language(Path(path), gazetteer.names, gazetteer.concepts)
        except ContentError as error:
            wrong = 1
            print(error)
            continue
        counts = Counter(home(name, gazetteer.entities[name].facets) for name in content.concepts)
        by_perspective = ", ".join(f"{name} {number}" for name, number in sorted(counts.items()))
        print(f"{path}: {len(content.names)} names, {len(content.concepts)} concepts ({by_perspective})")
    return wrong


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
