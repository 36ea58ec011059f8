"""How languages are recognised and read, on labelled texts: the tables of `validation.py` for languages.

python benchmarks/languages.py PATH_TO_THE_DATA
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from multiplex.errors import UsageError
from multiplex.evaluation.extraction.local import Local
from multiplex.evaluation.extraction.references import pairs
from multiplex.evaluation.languages.recognition import language_name
from multiplex.evaluation.statistics.accuracy import WRITTEN, AccuracyFigure, Validation, proportion, read_rows
from multiplex.present.accuracy import print_and_write
from multiplex.text.sentences import split

NAMED, LONG = "languages/named_countries.jsonl", "languages/long_answers.jsonl"
GOALS = {"fa": 0.90, "ru": 0.90, "am": 0.85, "ha": 0.85, "su": None, "as": None}  # every other language: 0.95
OTHERS = 0.05  # of the texts, at most, refer to another perspective than their country's
SPEED = 0.7  # of English texts a second


def main() -> None:
    """Measure on the folder named on the command line; print the tables and write them."""
    parser = argparse.ArgumentParser(description="Hold the reading of languages against labelled data.")
    parser.add_argument("data", type=Path)
    parser.add_argument("--output", type=Path, default=Path("languages.md"), help=".md or .json")
    arguments = parser.parse_args()
    print_and_write(validate_languages(arguments.data, Local()), arguments.output)


def validate_languages(data: Path, local: Local) -> Iterator[Validation]:
    """The figures by language; what the folder lacks is named in `absent`."""
    for name, measure in ((NAMED, _named), (LONG, _long)):
        if (data / name).is_file():
            yield measure(list(read_rows(data / name)), local)
        else:
            yield Validation(absent=[name])


def _named(rows: list[dict[str, Any]], local: Local) -> Validation:
    """Of questions about one country: its perspective found, another found, the language recognised, the speed."""
    english = _speed([row["english"] for row in rows], local)
    figures: list[AccuracyFigure] = []
    for language in sorted({row["language"] for row in rows}):
        own = [row for row in rows if row["language"] == language]
        what = f"named countries, {language_name(language)}; {' + '.join(WRITTEN)}"
        found = [_perspectives(row["text"], local) for row in own]
        right = [row["group"] in (each or ()) for row, each in zip(own, found, strict=True)]
        other = [bool((each or set()) - {row["group"]}) for row, each in zip(own, found, strict=True)]
        unread = sum(each is None for each in found)
        note = f"{unread} not read" if unread else ""
        figures.append(proportion(what, "right perspective found", right, target=GOALS.get(language, 0.95), note=note))
        figures.append(_at_most(proportion(what, "another perspective found", other), OTHERS))
        told = [local.reader.read(split(row["text"])).language for row in own]
        wrong = ", ".join(f"{language_name(n)} {k}" for n, k in Counter(told).most_common() if n != language)
        figures.append(proportion(what, "language recognised", [each == language for each in told], note=wrong))
        speed = _speed([row["text"] for row in own], local) / english
        figures.append(AccuracyFigure(what, "speed, English = 1", speed, None, None, len(own), SPEED))
    return Validation(figures)


def _long(rows: list[dict[str, Any]], local: Local) -> Validation:
    """Of long answers: how many can be measured, how many of these hold a reference, by the question's language."""
    figures: list[AccuracyFigure] = []
    for name in sorted({row["language"] for row in rows}):
        found = [_perspectives(row["text"], local) for row in rows if row["language"] == name]
        read = [each for each in found if each is not None]
        what = f"long answers, {name}; {' + '.join(WRITTEN)}"
        figures.append(proportion(what, "measurable", [each is not None for each in found]))
        if read:
            figures.append(proportion(what, "of these with a reference", [bool(each) for each in read]))
    return Validation(figures)


def _perspectives(text: str, local: Local) -> set[str] | None:
    """The perspectives that a text refers to; None where its language is not read."""
    sentences = split(text)
    reading = local.reader.read(sentences)
    if "names" in dict(reading.why_not):
        return None
    return {name for _, name in pairs(local.written(sentences, "", reading), WRITTEN)}


def _speed(texts: list[str], local: Local) -> float:
    """Texts a second, the lists being loaded."""
    if not texts:
        raise UsageError("no text to measure the speed on")
    _perspectives(texts[0], local)
    start = time.perf_counter()
    for text in texts:
        _perspectives(text, local)
    return len(texts) / (time.perf_counter() - start)


def _at_most(figure: AccuracyFigure, target: float) -> AccuracyFigure:
    return replace(figure, target=target, at_most=True)


if __name__ == "__main__":
    main()
