"""Writes the report of a survey run: one HTML page that loads nothing, Markdown, a table and JSON Lines."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

from multiplex.bench.plan.manifest import Manifest
from multiplex.bench.report.export import FORMULA
from multiplex.bench.report.markdown import markdown_table
from multiplex.bench.report.tables import Table, plain
from multiplex.content import open_draft
from multiplex.errors import MultiplexError
from multiplex.present.templates import render
from multiplex.survey.baselines import mean_of
from multiplex.survey.collected import SurveyAnswers, Who
from multiplex.survey.countries import find_country
from multiplex.survey.data import Survey, SurveyQuestion
from multiplex.survey.report.plots import plots
from multiplex.survey.report.tables import tables
from multiplex.survey.report.words import LIMITS, QUESTION, headline, summary, unmeasured
from multiplex.survey.results import Results
from multiplex.text.markdown import escape_markdown
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
        page.write(_page(results, collected, survey, made, title))
        _write_table(table, collected, survey)
        _write_lines(lines, results)
    return paths


def _markdown(results: Results, made: list[Table], title: str) -> str:
    lines = [f"# {escape_markdown(title)}", QUESTION, escape_markdown(summary(results))]
    lines += [f"**{escape_markdown(model)}.** {escape_markdown(headline(results, model))}" for model in results.models]
    lines += ["\n".join(f"- {escape_markdown(line)}" for line in [*unmeasured(results), *LIMITS, *results.notes])]
    lines += [markdown_table(table) for table in made]
    return "\n\n".join(lines) + "\n"


def _page(results: Results, collected: SurveyAnswers, survey: Survey, made: list[Table], title: str) -> str:
    from markupsafe import Markup

    here = Path(__file__)
    return render(
        here.with_name("report.html.jinja"),
        title=title,
        style=Markup(here.with_name("report.css").read_text("utf-8")),  # noqa: S704  # our own
        question=QUESTION,
        summary=summary(results),
        headlines=[(model, headline(results, model)) for model in results.models],
        limits=[*unmeasured(results), *LIMITS],
        plots=[(model, Markup(plots(results, model))) for model in results.models],  # noqa: S704  # escaped there
        tables=made,
        notes=results.notes,
        questions=[(question, list(_distributions(question, collected, survey))) for question in survey.questions],
    )


def _distributions(
    question: SurveyQuestion, collected: SurveyAnswers, survey: Survey
) -> Iterator[tuple[str, Sequence[float]]]:
    """Whose distribution it is, and the share of each option: people's, then the models'."""
    homes: dict[str, list[str]] = {}
    for code in survey.countries:
        homes.setdefault(find_country(code).perspective or "in no perspective", []).append(code)
    for home, codes in sorted(homes.items()):
        if (shares := mean_of(survey, question.id, codes)) is not None:
            asked = sum(code in survey.shares[question.id] for code in codes)
            yield f"people: {plain(home)} ({asked} {'country' if asked == 1 else 'countries'})", shares
    for who, answers in collected.answers.items():
        if (shares := answers.shares(question.id)) is not None:
            yield _named(who), shares


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
