"""Tables as HTML, and the frame of a page that loads nothing. Every text that comes in is escaped."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path

from multiplex.bench.report.tables import Table

WORDS = 30  # characters from which a cell is prose, and may break


def html_table(table: Table) -> str:
    """A table under its title; folded where it is of interest to few."""
    named = sum(1 for _, rows in table.groups if rows) > 1
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in table.head)
    body = []
    for name, rows in table.groups:
        if named and rows:
            body.append(
                f'<tr><th class="group" colspan="{len(table.head)}" scope="rowgroup">{escape(name)}</th></tr>\n'
            )
        body += [_line(row) for row in rows]
    note = f'<p class="about">{escape(table.note)}</p>\n' if table.note else ""
    inner = (
        f'<div class="wide" role="region" tabindex="0" aria-label="{escape(table.title)}"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>\n{''.join(body)}</tbody></table></div>\n{note}"
    )
    if table.folded:
        return f"<details><summary>{escape(table.title)}</summary>\n{inner}</details>\n"
    return f"<h3>{escape(table.title)}</h3>\n{inner}"


def html_head(title: str) -> str:
    """The beginning of the page, up to its body."""
    style = Path(__file__).with_name("report.css").read_text("utf-8")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
    )


def _line(row: Iterable[str]) -> str:
    first, *others = row
    cells = "".join(
        f'<td class="words">{escape(cell)}</td>' if len(cell) > WORDS else f"<td>{escape(cell)}</td>" for cell in others
    )
    return f'<tr><th scope="row">{escape(first)}</th>{cells}</tr>\n'
