from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from multiplex.bench.plan.questions import Question
from multiplex.bench.store.records import Failure
from multiplex.bench.store.store import Store
from multiplex.council.answer import Voice
from multiplex.council.personas import Council
from multiplex.serve.openai.schema import ApiError
from multiplex.serve.page.bench_runs import listed, report, unit, units
from tests.bench import synthetic
from tests.bench.test_store import reply

DONE, FAILED, PENDING = 0, 3, 7  # places of the units of `synthetic.records`


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one run of every kind of luck, which no test changes."""
    made = tmp_path_factory.mktemp("runs")
    synthetic.stored(made / "a run", synthetic.records())
    return made


def refused(call: Any, *args: Any, **options: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        call(*args, **options)
    return caught.value


def every(folder: Path, name: str, **asked: Any) -> Iterator[dict[str, Any]]:
    """All units that fit, page after page."""
    after: int | None = 0
    while after is not None:
        page = units(folder, name, after=after, **asked)
        yield from page["units"]
        after = page["next"]


def as_text(nodes: list[Any]) -> str:
    return "".join(node if isinstance(node, str) else as_text(node["c"]) for node in nodes)


# --- the list


def test_each_run_has_a_row(folder: Path) -> None:
    found = listed(folder)
    (run,) = found["runs"]
    assert found["unread"] == []
    assert run.pop("changed").endswith("+00:00")
    assert run == {
        "name": "a run",
        "questions": 6,
        "models": list(synthetic.MODELS),
        "strategies": list(synthetic.STRATEGIES),
        "done": 46,
        "failed": 1,
        "pending": 1,
        "tokens": 0,
        "report": False,
    }


async def test_tokens_are_added_and_unknown_where_one_call_did_not_report_them(tmp_path: Path) -> None:
    one, *_, other = synthetic.units()
    for name, tokens in (("known", 5), ("unknown", None)):
        with Store.open(tmp_path / name, create=True) as store:
            store.add([one, other])
            await store.ledger(one.id).keep("k", reply(tokens=4))
            await store.ledger(other.id).keep("k", reply(tokens=tokens))
    known, unknown = listed(tmp_path)["runs"]
    assert (known["name"], known["tokens"]) == ("known", 18)
    assert (unknown["name"], unknown["tokens"]) == ("unknown", None)


def test_a_damaged_run_has_a_line_and_hides_no_other(tmp_path: Path) -> None:
    synthetic.stored(tmp_path / "good", synthetic.records())
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "run.sqlite").write_text("no database " * 100)
    (tmp_path / "no-run").mkdir()
    found = listed(tmp_path)
    assert [run["name"] for run in found["runs"]] == ["good"]
    (line,) = found["unread"]
    assert line.startswith("bad/run.sqlite: damaged, or not a database")
    for call in (lambda: units(tmp_path, "bad"), lambda: unit(tmp_path, "bad", "1" * 16)):
        error = refused(call)
        assert (error.status, error.body.error.code) == (500, "run_unread")
        assert str(error).startswith("bad/run.sqlite: damaged")
        assert str(tmp_path) not in str(error)


def test_a_folder_without_runs_is_empty_and_no_folder_is_an_error(tmp_path: Path) -> None:
    assert listed(tmp_path) == {"runs": [], "unread": []}
    error = refused(listed, tmp_path / "typo")
    assert (error.status, str(error)) == (404, "the folder of runs is not there; `multiplex bench run` makes it")


# --- names from outside


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../a run", "a run/../a run", "a run/", "/", "a%20run", "A RUN", "a run\0", "\udcff", "run.sqlite"],
)
def test_a_name_that_is_not_listed_reaches_nothing(folder: Path, name: str) -> None:
    inside = folder / "a run"  # where "../a run" is a run, as a path
    for where in (folder, inside):
        for call in (report, units, lambda folder, name: unit(folder, name, "1")):
            error = refused(call, where, name)
            assert (error.status, error.body.error.code) == (404, "run_not_found")
            json.dumps(error.body.model_dump(), ensure_ascii=False).encode()  # can be sent


def test_an_absolute_path_reaches_nothing(folder: Path, tmp_path: Path) -> None:
    assert refused(units, tmp_path, str(folder / "a run")).status == 404
    assert refused(report, tmp_path, str(folder / "a run")).status == 404


def test_links_that_lead_out_are_told_and_not_followed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "linked").symlink_to(folder / "a run")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "run.sqlite").symlink_to(folder / "a run" / "run.sqlite")
    found = listed(tmp_path)
    assert found["runs"] == []
    assert [line.split(":")[0] for line in found["unread"]] == ["inner", "linked"]
    assert refused(units, tmp_path, "linked").status == 404
    assert refused(units, tmp_path, "inner").status == 404


def test_a_name_that_cannot_be_sent_is_told(tmp_path: Path) -> None:
    synthetic.stored(tmp_path / "caf\udce9", synthetic.records())
    found = listed(tmp_path)
    assert found == {"runs": [], "unread": ["caf?: the folder's name is not UTF-8; rename it"]}


# --- the report


def test_the_report_is_given_once_it_is_written(folder: Path, tmp_path: Path) -> None:
    error = refused(report, folder, "a run")
    assert (error.status, str(error)) == (404, "no report yet: `multiplex bench report 'a run'` writes it")
    synthetic.stored(tmp_path / "r", synthetic.records())
    (tmp_path / "r" / "report.html").write_text("<p>")
    assert report(tmp_path, "r") == tmp_path / "r" / "report.html"
    assert listed(tmp_path)["runs"][0]["report"] is True


def test_a_report_that_is_a_link_out_is_not_given(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a secret")
    synthetic.stored(tmp_path / "runs" / "r", synthetic.records())
    (tmp_path / "runs" / "r" / "report.html").symlink_to(tmp_path / "secret")
    assert refused(report, tmp_path / "runs", "r").body.error.code == "report_not_found"
    assert listed(tmp_path / "runs")["runs"][0]["report"] is False


# --- the units of a run


def test_units_come_in_order_with_where_they_stand(folder: Path) -> None:
    found = units(folder, "a run")
    made = list(synthetic.records())
    assert [each["id"] for each in found["units"]] == [record.unit.id for record in made]
    assert (found["total"], found["next"]) == (48, None)
    assert found["models"] == list(synthetic.MODELS)
    assert found["strategies"] == list(synthetic.STRATEGIES)
    first, failed, pending = (found["units"][place] for place in (DONE, FAILED, PENDING))
    measures = synthetic.measured(synthetic.WIDE)
    assert first == {
        "id": made[0].unit.id,
        "question": "What of Religious 1?",
        "domain": "Religious",
        "model": "small",
        "strategy": "multiplex",
        "epoch": 1,
        "state": "done",
        "entropy": measures.entropy,
        "depth": pytest.approx(0.2231, abs=1e-4),
        "references": measures.n,
        "unread": None,
    }
    assert (failed["state"], failed["entropy"], failed["references"]) == ("failed", None, None)
    assert (pending["state"], pending["entropy"], pending["references"]) == ("pending", None, None)


@pytest.mark.parametrize(
    ("asked", "total"),
    [
        ({"text": "HISTORY 2"}, 8),
        ({"text": "  history 2 "}, 8),
        ({"text": "%"}, 0),
        ({"model": "small"}, 24),
        ({"model": "smal"}, 0),
        ({"strategy": "checklist"}, 12),
        ({"state": "failed"}, 1),
        ({"state": "typo"}, 0),
        ({"text": "History", "model": "small", "strategy": "uniplex", "state": "done"}, 3),
    ],
)
def test_units_are_found_by_what_is_asked_for(folder: Path, asked: dict[str, str], total: int) -> None:
    found = units(folder, "a run", **asked)
    assert (found["total"], len(found["units"])) == (total, total)
    assert found["models"] == list(synthetic.MODELS)  # of the whole run, so that another can be chosen


def test_a_unit_is_found_by_the_beginning_of_its_id_in_capitals_or_not(folder: Path) -> None:
    wanted = synthetic.units()[5].id
    assert [each["id"] for each in units(folder, "a run", text=wanted[:10])["units"]] == [wanted]
    assert [each["id"] for each in units(folder, "a run", text=wanted.upper())["units"]] == [wanted]
    assert units(folder, "a run", text=wanted[1:])["units"] == []


def test_letters_of_every_script_are_the_same_in_capitals_or_not(tmp_path: Path) -> None:
    asked = [Question(id="q", question="Was ist die STRASSE, und was ist Ökologie?")]
    with Store.open(tmp_path / "r", create=True) as store:
        store.add(synthetic.units(asked, ["uniplex"]))
    assert units(tmp_path, "r", text="ökologie")["total"] == 2
    assert units(tmp_path, "r", text="straße")["total"] == 2


def test_two_thousand_units_come_page_by_page_once_each(tmp_path: Path) -> None:
    asked = [Question(id=f"q{i}", question=f"What of {i}?") for i in range(250)]
    made = synthetic.units(asked)
    with Store.open(tmp_path / "big", create=True) as store:
        store.add(made)
    page = units(tmp_path, "big")
    assert (len(made), len(page["units"]), page["total"], page["next"]) == (2000, 50, 2000, 50)
    assert [each["id"] for each in every(tmp_path, "big", most=300)] == [each.id for each in made]
    some = list(every(tmp_path, "big", text="of 1", strategy="uniplex"))
    fitting = [each.id for each in made if "of 1" in each.question and each.strategy == "uniplex"]
    assert [each["id"] for each in some] == fitting
    assert len(fitting) == 2 * 111
    assert units(tmp_path, "big", after=2000) | {"models": [], "strategies": []} == {
        "units": [], "next": None, "models": [], "strategies": [], "total": 2000,
    }  # fmt: skip


def test_units_added_meanwhile_neither_repeat_nor_hide_one(tmp_path: Path) -> None:
    asked = [Question(id=f"q{i}", question=f"What of {i}?") for i in range(20)]
    made = synthetic.units(asked, ["uniplex"])
    with Store.open(tmp_path / "r", create=True) as store:
        store.add(made[:30])
        first = units(tmp_path, "r", most=20)  # also while it is written
        store.add(made[30:])
        rest = units(tmp_path, "r", after=first["next"], most=20)
    assert [each["id"] for each in first["units"] + rest["units"]] == [each.id for each in made]


def test_no_answer_but_those_shown_is_read(folder: Path, tmp_path: Path) -> None:
    synthetic.stored(tmp_path / "r", synthetic.records())
    spoiled = synthetic.units()[10].id
    with sqlite3.connect(tmp_path / "r" / "run.sqlite") as db:
        db.execute("UPDATE units SET answer = '{' WHERE id = ?", (spoiled,))
    db.close()
    assert all(each["unread"] is None for each in units(tmp_path, "r", most=10)["units"])
    page = units(tmp_path, "r", after=10, most=2)["units"]
    assert [each["id"] for each in page if each["unread"]] == [spoiled]
    assert page[0]["unread"].startswith(f"r/run.sqlite: unit {spoiled}: its answer is damaged (its checksum differs)")
    error = refused(unit, tmp_path, "r", spoiled)
    assert (error.status, str(error)) == (500, page[0]["unread"])


# --- one unit


def test_a_unit_is_whole(folder: Path) -> None:
    made = list(synthetic.records())[DONE]
    found = unit(folder, "a run", made.unit.id)
    assert found["unit"] == {"state": "done", **made.unit.model_dump()}
    answer = found["answer"]
    assert as_text(answer["prose"]) == synthetic.WIDE
    measures = synthetic.measured(synthetic.WIDE)
    assert [each["text"] for each in answer["references"]] == [each.text for each in measures.references]
    assert answer["measures"]["entropy"] == measures.entropy
    western, african = found["voices"]
    assert (western["perspective"], western["error"], as_text(western["prose"])) == ("western", None, synthetic.NARROW)
    assert african["error"].startswith("timeout: no reply </div>")
    assert (found["failures"], found["note"]) == ([], None)


def test_references_are_coloured_where_they_stand(folder: Path) -> None:
    found = unit(folder, "a run", synthetic.units()[DONE].id)["answer"]
    marks = [node for paragraph in found["prose"] for node in paragraph["c"] if isinstance(node, dict)]
    names = [each["perspective"] for each in found["references"]]
    told = [(as_text(mark["c"]), [names[number] for number in mark["r"]]) for mark in marks]
    assert ("Ubuntu", ["african"]) in told
    assert ("Zakat", ["islamic"]) in told


def test_a_failed_unit_tells_every_failure_and_a_pending_one_that_it_is(folder: Path) -> None:
    ids = [each.id for each in synthetic.units()]
    failed, pending = unit(folder, "a run", ids[FAILED]), unit(folder, "a run", ids[PENDING])
    assert (failed["answer"], failed["voices"], failed["note"]) == (None, [], None)
    (line,) = failed["failures"]
    at, kind, said = line.split(": ", 2)
    assert (at[-6:], kind) == ("+00:00", "timeout")
    assert said == f"no reply {synthetic.HOSTILE}"  # as it is: the page puts it in as text
    assert pending["unit"]["state"] == "pending"
    assert (pending["answer"], pending["failures"], pending["note"]) == (None, [], "Pending: not answered yet.")


async def test_an_answer_that_was_not_measured_says_so_and_what_failed_before_stays(tmp_path: Path) -> None:
    one = synthetic.units()[0]
    with Store.open(tmp_path / "r", create=True) as store:
        store.add([one])
        await store.fail(one.id, Failure(kind="server", message="broke"))
        await store.finish(one.id, synthetic.answer(one))
    found = unit(tmp_path, "r", one.id)
    assert found["unit"]["state"] == "done"
    assert [line.split(": ", 1)[1] for line in found["failures"]] == ["server: broke"]
    assert found["note"] == "Not measured yet: `multiplex bench score r` does it."
    assert (found["answer"]["measures"], found["answer"]["references"]) == (None, [])


async def test_a_voice_shows_the_sources_of_the_persona_that_spoke_and_of_no_other(tmp_path: Path) -> None:
    one = synthetic.units()[0]
    akan = next(each for each in Council.load().personas if each.perspective == "african")
    idea = akan.ideas[0]
    about = {"perspective": "african", "title": akan.title, "model": "small", "text": f"{idea.name} holds us."}
    said = (
        Voice(persona=akan.name, digest=akan.digest, **about),
        Voice(persona=akan.name, digest="0" * 64, round=2, **about),  # the file was edited since
    )
    with Store.open(tmp_path / "r", create=True) as store:
        store.add([one])
        await store.finish(one.id, synthetic.answer(one).model_copy(update={"rounds": said, "voices": said[1:]}))
    same, edited = unit(tmp_path, "r", one.id)["voices"]
    assert {"idea": idea.name, "source": str(idea.source)} in same["named"]
    assert (same["round"], edited["round"], edited["named"]) == (1, 2, [])


@pytest.mark.parametrize("unit_id", ["", "0" * 16, "%", "../a run", "\0", "\udcff"])
def test_a_unit_that_is_not_there_is_refused(folder: Path, unit_id: str) -> None:
    error = refused(unit, folder, "a run", unit_id)
    assert (error.status, error.body.error.code) == (404, "unit_not_found")
    json.dumps(error.body.model_dump(), ensure_ascii=False).encode()


def test_everything_can_be_sent_as_json(folder: Path) -> None:
    shown = [listed(folder), units(folder, "a run"), *(unit(folder, "a run", each.id) for each in synthetic.units())]
    for each in shown:
        json.dumps(each, ensure_ascii=False, allow_nan=False).encode()
