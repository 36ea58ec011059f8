"""A run by batches: waves, bad luck at the endpoint, deaths of the process; a real server and a real file."""

from __future__ import annotations

import csv
import json
import resource
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from multiplex.bench.execute import batch_run
from multiplex.bench.store.records import Record
from multiplex.bench.store.store import Store
from multiplex.content import sha256
from tests.backend import Body, Say, asked
from tests.batch_backend import BatchBackend, serving
from tests.command import COMMAND, run, run_here

QUESTIONS = 3
STRATEGIES = "uniplex,multiplex,uniplex-long"
WAVES = [QUESTIONS * (1 + 3), QUESTIONS, QUESTIONS]
"""Plain answers and voices; essays; the controls that are matched to their length."""
CALLS = sum(WAVES)


def echo(body: Body) -> Say:
    """A reply that depends on the request alone."""
    digest = sha256(f"{body.get('seed')} {asked(body)}")[:8]
    return Say(f"Reply {digest}. The elders of {digest} are heard first.")


@pytest.fixture
def batches() -> Iterator[BatchBackend]:
    with serving() as backend:
        backend.script = echo
        yield backend


@pytest.fixture
def command(tmp_path: Path, batches: BatchBackend) -> Callable[..., list[str]]:
    """The arguments of a run by batches in `tmp_path/run`."""
    path = tmp_path / "questions.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "question"])
        rows.writerows([f"q{i}", f"What do the old owe the young on topic {i}?"] for i in range(QUESTIONS))

    def arguments(*flags: str, batch: bool = True) -> list[str]:
        return ["bench", "run", "--models", "m", "--base-url", batches.url, "--questions", str(path), "--strategies",
                STRATEGIES, "--council", "islamic,african,east_asian", "--check", "none", "--no-score",
                "--dir", str(tmp_path), "--name", "run", *(["--batch"] if batch else []), *flags]  # fmt: skip

    return arguments


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that waits looks again at once."""
    monkeypatch.setattr(batch_run, "SOONEST", 0.0)


def records(folder: Path) -> list[Record]:
    with Store.read(folder / "run") as store:
        assert not store.check().damaged
        return list(store.records())


def without(field: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda batch: {name: value for name, value in batch.items() if name != field}


def complete(folder: Path) -> bool:
    return all(record.answer is not None and not record.answer.lost for record in records(folder))


def said(arguments: list[str], code: int = 0, **options: Any) -> str:
    done = run(*arguments, **options) if options else run_here(*arguments)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def again(arguments: list[str], starts: int = 9) -> int:
    """Start a command until it has nothing out; how often."""
    for start in range(1, starts + 1):
        if "submitted" not in said(arguments):
            return start
    raise AssertionError(f"not done after {starts} starts")


def test_each_start_collects_a_wave_and_sends_the_next(
    command: Callable[..., list[str]], batches: BatchBackend, tmp_path: Path
) -> None:
    batches.looks = 1  # the second start finds the batch in progress
    for calls in WAVES:
        assert f"submitted {calls} calls in 1 batch; the same command collects" in said(command())
        assert f"submitted {calls} calls in 1 batch" in said(command())
    assert "9 done, 0 failed, 0 pending" in said(command())
    assert complete(tmp_path)
    assert len(batches.asked) == CALLS
    names = [json.loads(line)["custom_id"] for batch in batches.batches.values()
             for line in batches.files[batch["input_file_id"]].splitlines()]  # fmt: skip
    assert len(set(names)) == CALLS
    assert {len(name) for name in names} == {64}
    assert not [*(tmp_path / "run").glob("batch-*")]
    assert "9 of them done already" in said(command())
    assert len(batches.asked) == CALLS


def test_a_command_that_waits_ends_with_the_report_of_one_that_sends_each_call_by_itself(
    command: Callable[..., list[str]], batches: BatchBackend, tmp_path: Path
) -> None:
    assert "9 done, 0 failed, 0 pending" in said(command("--wait"))
    assert complete(tmp_path)
    assert len(batches.batches) == len(WAVES)
    assert all(record.answer.seconds < 60 for record in records(tmp_path) if record.answer is not None)


def test_what_expired_or_was_refused_for_a_time_is_sent_again_and_what_came_is_kept(
    command: Callable[..., list[str]], batches: BatchBackend, tmp_path: Path
) -> None:
    batches.ends = lambda number: "expired" if number == 0 else "completed"
    batches.undone = lambda number, custom: number == 0 and int(custom[0], 16) % 2 == 0
    busy = Counter[str]()

    def script(body: Body) -> Say:
        busy[asked(body)] += 1
        return Say(status=429) if "topic 1" in asked(body) and busy[asked(body)] == 1 else echo(body)

    batches.script = script
    again(command())
    assert complete(tmp_path)
    assert len(batches.asked) == CALLS + sum(count == 2 for count in busy.values())
    assert max(busy.values()) == 2


def test_a_request_that_is_refused_for_good_fails_its_unit_alone_and_is_tried_by_the_next_start(
    command: Callable[..., list[str]], batches: BatchBackend, tmp_path: Path
) -> None:
    batches.script = lambda body: Say(status=400) if "topic 1" in asked(body) else echo(body)
    batches.mangle = lambda data: data.removesuffix(b"\n")  # so that the first error follows the last reply at once
    assert "6 done, 3 failed" in said(command("--wait"), 1)
    assert {record.failure.kind for record in records(tmp_path) if record.failure} == {"bad_request", "no_length"}
    with Store.read(tmp_path / "run") as store:
        assert sum(row.error is not None for each in store.units() for row in store.calls(each.id)) == 1 + 3
    batches.script, before = echo, len(batches.asked)
    assert "9 done, 0 failed" in said(command("--wait"))
    assert len(batches.asked) - before == 1 + 3 + 1 + 1


def test_a_file_of_replies_that_is_cut_is_read_again_and_lines_of_no_call_are_told_and_left_out(
    command: Callable[..., list[str]], batches: BatchBackend, tmp_path: Path
) -> None:
    def with_strangers(data: bytes) -> bytes:
        first = data.splitlines(keepends=True)[0]
        stranger = json.dumps({**json.loads(first), "custom_id": "stranger"}).encode() + b"\n"
        return data + first.replace(b"Reply", b"Other") + stranger

    said(command())
    batches.mangle = lambda data: data[:-20]
    assert "line 12 of its replies cannot be read; was the file cut?" in said(command(), 3)
    batches.mangle = lambda data: data[: data.rindex(b"\n", 0, -1) + 1]
    assert "12 calls are done, and its files hold 11 replies" in said(command(), 3)
    batches.describe = without("request_counts")
    batches.mangle = lambda data: data.replace(*data.splitlines(keepends=True)[:2])  # the first line once more
    assert "12 calls are done, and its files hold 11 replies" in said(command(), 3)
    batches.describe = without("output_file_id")
    assert "12 calls are done, and its files hold 0 replies" in said(command(), 3)
    batches.describe, batches.mangle = dict, with_strangers
    told = said(command())
    assert "1 of its lines name no call of it" in told
    assert "1 of its lines name a call for the second time" in told
    batches.mangle = bytes
    again(command())
    assert len(batches.asked) == CALLS
    assert all("Other" not in record.answer.text for record in records(tmp_path) if record.answer)


def test_of_a_file_that_stays_cut_what_came_is_kept_where_the_rest_is_paid_for_again(
    command: Callable[..., list[str]], batches: BatchBackend, tmp_path: Path
) -> None:
    said(command())
    batches.mangle = lambda data: data[:-20]
    assert "1 of its 12 calls are sent again" in said(command("--redo-damaged"))
    batches.mangle = bytes
    again(command())
    assert complete(tmp_path)
    assert len(batches.asked) == CALLS + 1


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("cancelled", "was cancelled at its endpoint: 8 of 12 replies came"),
        ("failed", "(a line is no JSON): 0 of 12 replies"),
    ],
)
def test_a_batch_that_is_cancelled_or_fails_stops_the_command_and_the_next_sends_what_lacks(
    command: Callable[..., list[str]], batches: BatchBackend, tmp_path: Path, state: str, told: str
) -> None:
    undone = Counter[int]()

    def four(number: int, _: str) -> bool:
        undone[number] += 1
        return number == 0 and undone[number] <= 4

    batches.ends, batches.undone = (lambda number: state if number == 0 else "completed"), four
    said(command())
    assert told in said(command(), 3)
    again(command())
    assert complete(tmp_path)
    assert len(batches.asked) == CALLS


def test_a_batch_that_its_endpoint_has_forgotten_is_paid_for_again_only_where_that_is_asked_for(
    command: Callable[..., list[str]], batches: BatchBackend, tmp_path: Path
) -> None:
    said(command())
    batches.batches.pop("batch-0")
    told = said(command(), 3)
    assert "its endpoint knows it no more" in told
    assert "--redo-damaged sends what is missing of its 12 calls again" in told
    assert batches.batches == {}
    assert "submitted 12 calls" in said(command("--redo-damaged"))
    again(command())
    assert complete(tmp_path)


def test_what_cannot_go_by_batches_is_told_in_one_line_and_nothing_is_sent(
    command: Callable[..., list[str]], batches: BatchBackend, tmp_path: Path
) -> None:
    for code, step, told in (
        (404, "POST /v1/files", "has no batches (404 at /files); leave --batch out"),
        (400, "POST /v1/files", "400 (no such thing) at /files: it takes no such batch; leave --batch out"),
        (405, "POST /v1/batches", "has no batches (405 at /batches); leave --batch out"),
    ):
        batches.status = lambda request, code=code, step=step: code if request == step else 200
        assert told in said(command(), 2)
        assert not [*(tmp_path / "run").glob("batch-*")]
    assert "cannot bound" in said(command("--max-tokens", "9"), 2)
    assert "--wait is of --batch" in said(command("--wait", batch=False), 2)
    assert "no batches" in said([*command(), "--models", "local", "--strategies", "uniplex"], 2)
    batches.status = lambda _: 200
    said(command())
    assert "12 calls are out in 1 batches" in said(command(batch=False), 2)
    prices = tmp_path / "prices.toml"
    prices.write_text("m = { input = 1000.0, output = 1000.0 }")
    shown = said(command("--dry-run", "--prices", str(prices))).splitlines()
    assert (shown[0].split()[-2:], shown[1].split()[-1:]) == (["USD", "by"], ["batch"])


def test_a_batch_that_may_have_been_made_is_not_made_twice_where_the_endpoint_lists_none(
    command: Callable[..., list[str]], batches: BatchBackend, tmp_path: Path
) -> None:
    two, luck = command("--models", "m,n"), [503]  # of the first model's batch
    batches.status = lambda request: luck.pop() if luck and request == "POST /v1/batches" else 200
    assert "503" in said(two, 3)
    batches.status = lambda request: 405 if request.startswith("GET /v1/batches?") else 200
    told = said(two, 3)
    assert "does not list its batches" in told
    assert "if it has none, --redo-damaged makes it" in told
    batches.page = lambda request: b"<html>" if request.startswith("GET /v1/batches?") else None
    assert "its list of batches cannot be read" in said(two, 3)
    batches.status, batches.page, batches.more = lambda _: 200, lambda _: None, True
    assert "its list of batches does not go on after batch-" in said(two, 3)
    assert len(batches.asked) == sum(WAVES)  # of the other model
    said([*two, "--redo-damaged"])
    assert len(batches.asked) == 2 * WAVES[0] + WAVES[1] + WAVES[2]


def test_replies_of_a_batch_that_ended_early_are_used_by_a_start_without_batches_and_are_not_lost_by_merging(
    command: Callable[..., list[str]], batches: BatchBackend, tmp_path: Path
) -> None:
    calls = Counter[str]()

    def script(body: Body) -> Say:
        calls[f"{body.get('seed')} {asked(body)}"] += 1
        return echo(body)

    batches.script, batches.ends = script, lambda _: "cancelled"
    batches.undone = lambda _, custom: int(custom[-1], 16) % 3 == 0
    said(command())
    assert "was cancelled" in said(command(), 3)
    came = len(batches.asked)
    assert 0 < came < WAVES[0]
    merge = ["bench", "merge", str(tmp_path / "run"), "--name", "joined", "--dir", str(tmp_path)]
    assert "have not used yet; finish it first" in said(merge, 2)
    assert "9 done, 0 failed" in said(command(batch=False))
    assert set(calls.values()) == {1}
    assert calls.total() == CALLS
    assert complete(tmp_path)
    assert "9 of them done" in said(merge)


def test_an_essay_that_came_for_a_council_with_a_refused_voice_is_used_by_a_start_without_batches(
    command: Callable[..., list[str]], batches: BatchBackend, tmp_path: Path
) -> None:
    refused = "african thought"
    batches.script = lambda body: (
        Say(status=400) if "topic 1" in asked(body) and refused in asked(body).lower() else echo(body)
    )
    said(command())
    said(command())
    batches.ends = lambda _: "cancelled"  # of the essays, all of which have come
    assert "3 of 3 replies came" in said(command(), 3)
    batches.script = lambda body: Say("Asked again.") if "You write one essay" in asked(body) else echo(body)
    assert "9 done, 0 failed" in said(command(batch=False))
    essays = [record.answer for record in records(tmp_path) if record.answer and record.unit.strategy == "multiplex"]
    assert not [answer for answer in essays if "Asked again." in answer.text]
    assert sum(len(answer.lost) for answer in essays) == 1


def test_an_endpoint_that_has_no_room_gets_smaller_batches_one_after_the_other(
    command: Callable[..., list[str]], batches: BatchBackend, tmp_path: Path, at_once: None
) -> None:
    def before(request: str) -> None:  # nothing is taken at first, as if others had filled the queue
        batches.room = 0 if len(batches.batches) < 5 else 5

    batches.before = before
    assert "no room at its endpoint (Enqueued token limit reached); its 12 calls wait" in said(command("--wait"))
    assert complete(tmp_path)
    assert len(batches.asked) == CALLS
    assert max(each["calls"] for each in batches.batches.values() if each["status"] == "completed") == 3
    assert not [*(tmp_path / "run").glob("batch-*")]


def test_calls_without_a_reply_in_four_batches_fail_their_units_and_the_next_start_sends_them_again(
    command: Callable[..., list[str]], batches: BatchBackend, tmp_path: Path, at_once: None
) -> None:
    batches.ends, batches.undone = (
        (lambda number: "expired" if number < 4 else "completed"),
        lambda number, _: number < 4,
    )
    assert "0 done, 9 failed" in said(command("--wait"), 1)
    assert "9 done, 0 failed" in said(command("--wait"))
    assert len(batches.asked) == CALLS


def test_a_command_that_waits_looks_again_where_an_endpoint_is_away_for_a_while(
    command: Callable[..., list[str]], batches: BatchBackend, tmp_path: Path, at_once: None
) -> None:
    luck = {"GET /v1/batches/": [429, 503], "POST /v1/files": [503], "POST /v1/batches": [500], "GET /v1/files/": [502]}
    looks = []

    def status(request: str) -> int:
        code = next((codes.pop() for start, codes in luck.items() if request.startswith(start) and codes), 200)
        if request.startswith("GET /v1/batches/"):
            looks.append((code, time.monotonic()))
        return code

    batches.status = status
    told = said(command("--wait"))
    refused = next(place for place, (code, _) in enumerate(looks) if code == 429)
    assert looks[refused + 1][1] - looks[refused][1] >= 1.0  # its Retry-After
    assert "503 (no such thing); looking again" in told
    assert "9 done, 0 failed" in told
    assert not any(luck.values())
    assert len(batches.asked) == CALLS


def test_a_full_disk_stops_the_command_fails_no_unit_and_is_not_taken_for_the_endpoint(
    command: Callable[..., list[str]], batches: BatchBackend, tmp_path: Path
) -> None:
    (requests := tmp_path / "run" / "batch-0001.jsonl").parent.mkdir()
    requests.symlink_to("/dev/full")
    assert "the disk is full; make room and run the same command again; 0 done, 0 failed" in said(command("--wait"), 3)
    requests.unlink()
    batches.script = lambda body: Say("x " * (1 if "You" in asked(body) else 300_000))
    said(command())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        assert "batch-0001.replies: cannot be written: File too large; make room" in said(command("--wait"), 3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    batches.script = echo
    again(command())
    assert complete(tmp_path)
    assert len(batches.asked) == CALLS


def test_voices_that_are_asked_alike_where_an_endpoint_takes_no_seed_have_a_reply_each(
    command: Callable[..., list[str]], batches: BatchBackend, tmp_path: Path, at_once: None
) -> None:
    number = count()
    refusal = {"message": "Unsupported parameter: 'seed'", "param": "seed", "code": "unsupported_parameter"}
    batches.script = lambda body: (
        Say(status=400, error=refusal) if "seed" in body else Say(f"Reply {next(number)}. Elders are heard first.")
    )
    said([*command("--wait"), "--strategies", "blank-council", "--limit", "1"])
    (record,) = records(tmp_path)
    assert record.answer is not None
    assert len({voice.text for voice in record.answer.voices}) == 3
    assert len(batches.asked) == 2 * (3 + 1)


def test_a_web_page_in_answer_to_a_file_is_told_in_one_line(
    command: Callable[..., list[str]], batches: BatchBackend
) -> None:
    batches.page = lambda request: b"<html>log in</html>" if request.startswith("POST /v1/files") else None
    assert "the file it took has no id" in said(command("--wait"), 3)


def test_the_other_form_of_the_api_is_understood(
    command: Callable[..., list[str]], batches: BatchBackend, tmp_path: Path
) -> None:
    """Together's: other paths and purposes of files, jobs in place of batches, a plain list, no counts."""
    luck = [503]
    batches.dialect = "together"
    batches.status = lambda request: luck.pop() if luck and request == "POST /v1/batches" else 200
    said(command(), 3)
    again(command())
    assert complete(tmp_path)
    assert len(batches.batches) == len(WAVES)
    assert len(batches.asked) == CALLS


def test_a_process_that_is_killed_at_every_moment_in_turn_pays_for_no_call_twice(
    command: Callable[..., list[str]], batches: BatchBackend, tmp_path: Path
) -> None:
    """Before and after each file and each batch is made, and before each look at a batch or a file of replies."""
    victims: list[subprocess.Popen[bytes]] = []
    moments: list[str] = []

    def kill(request: str) -> None:
        stage = f"{request} {len(batches.batches)}"
        left = [when for when in ("before", "after")[: 2 if "POST" in request else 1]
                if f"{when} {stage}" not in moments]  # fmt: skip
        if not left:
            return
        moments.append(f"{left[0]} {stage}")
        if left[0] == "after":  # what was asked for is done, and nobody hears of it
            if request == "POST /v1/files":
                batches.upload(b"")
            else:
                batches.create(list(batches.files)[-1])
        victims[-1].kill()
        raise ConnectionResetError

    batches.before = kill
    for _ in range(40):
        with subprocess.Popen([*COMMAND, *command()], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as victim:
            victims.append(victim)
            out, err = victim.communicate(timeout=60)
        assert victim.returncode in (0, -9), err
        if victim.returncode == 0 and b"submitted" not in out:
            break
    assert len(moments) >= 12, moments
    assert complete(tmp_path)
    assert len(batches.asked) == CALLS
