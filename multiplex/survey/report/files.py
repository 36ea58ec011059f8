"""Writes the report of a survey run: one HTML page that loads nothing, Markdown, a table and JSON Lines."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import ExitStack
from html import escape
from pathlib import Path
from typing import TextIO

from multiplex.bench.plan.manifest import Manifest
from multiplex.bench.report.export import FORMULA
from multiplex.bench.report.markdown import escaped, markdown_table
from multiplex.bench.report.tables import Table, plain
from multiplex.content import open_draft
from multiplex.errors import MultiplexError
from multiplex.present.highlight import clean
from multiplex.survey.baselines import mean_of
from multiplex.survey.collected import SurveyAnswers, Who
from multiplex.survey.countries import find_country
from multiplex.survey.data import Survey, SurveyQuestion
from multiplex.survey.report.layout import html_head, html_table
from multiplex.survey.report.plots import plots
from multiplex.survey.report.tables import tables
from multiplex.survey.report.words import LIMITS, QUESTION, headline, summary, unmeasured
from multiplex.survey.results import Results
from multiplex.text.terminal import escape_json

_COLUMNS = (
    "model", "respondent", "round", "question", "order", "labels", "wording", "text", "epoch", "method", "readable",
    "refused", "unreadable", "outside", "point", "shares", "options", "note",
)  # fmt: skip


def write_report(
    folder: Path, results: Results, collected: SurveyAnswers, survey: Survey, manifest: Manifest | None, *, title: str
) -> list[Path]:
    """Write `report.html`, `report.md`, `results.csv` and `results.jsonl` into the folder; returns their paths.

    Raises:
        MultiplexError: the disk refuses; no file is half written.
    """
    paths = [folder / name for name in ("report.html", "report.md", "results.csv", "results.jsonl")]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MultiplexError(f"{folder}: cannot be made: {error.strerror or error}") from error
    made = [*tables(results), _settings(results, manifest)]
    with ExitStack() as files:
        page, text, table, lines = (files.enter_context(open_draft(path)) for path in paths)
        text.write(_markdown(results, made, title))
        for piece in _page(results, collected, survey, made, title):
            page.write(clean(piece))
        _write_table(table, collected, survey)
        _write_lines(lines, results)
    return paths


def _markdown(results: Results, made: list[Table], title: str) -> str:
    lines = [f"# {escaped(title)}", QUESTION, escaped(summary(results))]
    lines += [f"**{escaped(model)}.** {escaped(headline(results, model))}" for model in results.models]
    lines += ["\n".join(f"- {escaped(line)}" for line in [*unmeasured(results), *LIMITS, *results.notes])]
    lines += [markdown_table(table) for table in made]
    return "\n\n".join(lines) + "\n"


def _page(results: Results, collected: SurveyAnswers, survey: Survey, made: list[Table], title: str) -> Iterator[str]:
    yield html_head(title)
    about = f"{escape(QUESTION)} {escape(summary(results))}"
    yield f'<header><h1 dir="auto">{escape(title)}</h1>\n<p>{about}</p></header>\n'
    for model in results.models:
        yield f'<div class="headline"><p class="about">{escape(model)}</p>\n'
        yield f"<p><strong>{escape(headline(results, model))}</strong></p></div>\n"
    if not results.models:
        yield "<p>Nothing can be said yet: no unit is done.</p>\n"
    listed = "".join(f"<li>{escape(line)}</li>" for line in [*unmeasured(results), *LIMITS])
    yield f"<ul>{listed}</ul>\n"
    for model in results.models:
        yield f"<h2>{escape(model)}: plots</h2>\n{plots(results, model)}"
    yield "<h2>Tables</h2>\n"
    yield from (html_table(table) for table in made)
    if results.notes:
        items = "".join(f"<li>{escape(note)}</li>" for note in results.notes)
        yield f"<h2>Notes on the data</h2>\n<ul>{items}</ul>\n"
    yield '<h2 id="questions">Every question</h2>\n'
    for question in survey.questions:
        yield _question(question, collected, survey)
    yield "</body>\n</html>\n"


def _question(question: SurveyQuestion, collected: SurveyAnswers, survey: Survey) -> str:
    """People's and models' distributions side by side."""
    head = "".join(f'<th scope="col" dir="auto">{escape(option)}</th>' for option in question.options)
    rows = []
    homes: dict[str, list[str]] = {}
    for code in survey.countries:
        homes.setdefault(find_country(code).perspective or "in no perspective", []).append(code)
    for home, codes in sorted(homes.items()):
        if (shares := mean_of(survey, question.id, codes)) is not None:
            asked = sum(code in survey.shares[question.id] for code in codes)
            rows.append((f"people: {plain(home)} ({asked} {'country' if asked == 1 else 'countries'})", shares))
    for who, answers in collected.answers.items():
        if (shares := answers.shares(question.id)) is not None:
            rows.append((_named(who), shares))
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{share:.0%}</td>" for share in shares)}</tr>\n'
        for name, shares in rows
    )
    return (
        f'<details><summary dir="auto">{escape(question.id)}: {escape(question.text)}</summary>\n'
        f'<div class="wide" role="region" tabindex="0" aria-label="{escape(question.id)}"><table>'
        f"<thead><tr><th></th>{head}</tr></thead><tbody>\n{body}</tbody></table></div></details>\n"
    )


def _named(who: Who) -> str:
    kind, _, name = who.name.partition(":")
    shown = f"{kind}: {find_country(name).name if kind != 'persona' else plain(name)}" if name else kind
    return f"{who.model}, {shown}" + (f", round {who.round}" if who.round > 1 else "")


def _write_table(out: TextIO, collected: SurveyAnswers, survey: Survey) -> None:
    table = csv.writer(out)
    table.writerow(_COLUMNS)
    for who, answers in collected.answers.items():
        for name, asked in answers.asked.items():
            options = json.dumps(survey.by_id[name].options, ensure_ascii=False) if name in survey.by_id else ""
            for variant, choice in asked:
                shares = "" if choice.shares is None else json.dumps([round(each, 6) for each in choice.shares])
                order = " ".join(str(place + 1) for place in variant.order)
                outside = "" if choice.outside is None else round(choice.outside, 6)
                point = "" if choice.point is None else choice.point + 1
                row = (
                    who.model, who.name, who.round, name, order, variant.labels, variant.wording, variant.text,
                    variant.epoch, choice.method, choice.readable, choice.refused, choice.unreadable,
                    outside, point, shares, options, choice.note or "",
                )  # fmt: skip
                table.writerow([f"'{cell}" if isinstance(cell, str) and cell[:1] in FORMULA else cell for cell in row])


def _write_lines(out: TextIO, results: Results) -> None:
    """Every figure as a line of its own, with the table that it belongs to."""
    every = {
        "standing": results.standings, "contrast": results.contrasts, "profile": results.profiles,
        "identification": results.identification, "spread": results.spreads, "stability": results.stability,
        "replies": results.replies, "nearest": results.near,
    }  # fmt: skip
    for kind, rows in every.items():
        for row in rows:
            line = {"table": kind, "survey": results.survey, "method": results.method, **row.model_dump(mode="json")}
            out.write(escape_json(json.dumps(line, ensure_ascii=False)) + "\n")


def _settings(results: Results, manifest: Manifest | None) -> Table:
    rows = [("survey", results.survey), ("countries", ", ".join(results.countries))]
    if manifest is not None:
        rows += [("begun", manifest.created), ("seed", str(manifest.seed)), *manifest.survey.items()]
        rows += [(f"model {name}", f"{of.model} at {of.place}") for name, of in manifest.models.items()]
        for what, digests in (("personas", manifest.personas), ("prompts", manifest.prompts)):
            rows.append((what, ", ".join(f"{name} {digest[:12]}" for name, digest in digests.items())))
    return Table("Settings", ("", ""), (("", tuple(rows)),), folded=True)
