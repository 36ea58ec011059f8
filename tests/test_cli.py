"""The command line as its user meets it: real processes, a real loopback server, wrong input and bad luck."""

from __future__ import annotations

import itertools
import json
import os
import pty
import signal
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

from multiplex.council.personas import Council, agents, built_in
from multiplex.errors import MultiplexError
from tests.backend import Backend, Body, Say, asked
from tests.command import COMMAND, FRESH, at, run, run_here

QUESTION = "How should families decide who cares for ageing parents?"
TEXT = "Ubuntu asks that kin share care. In Japan, elders are respected. Autonomy matters to Kantians."


@pytest.fixture
def talking(backend: Backend) -> Backend:
    backend.script = lambda body, n: Say(TEXT)
    return backend


def lose(*names: str):
    personas = {p.name: p.speaker.split(".")[0] for p in Council.load().personas}

    def script(body: Body, n: int) -> Say:
        return Say(status=500) if any(personas[name] in asked(body) for name in names) else Say(TEXT)

    return script


def test_json_prints_the_contract_and_nothing_else(talking: Backend, tmp_path: Path) -> None:
    record = tmp_path / "record.json"
    done = run("answer", QUESTION, *at(talking), "--json", "--seed", "7", "--output", str(record))
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert list(printed) == ["question", "seed", "frame", "frame_name", "answers"]
    assert (printed["question"], printed["seed"], len(printed["frame"])) == (QUESTION, 7, 7)
    assert set(printed["answers"]) == {"uniplex", "multiplex"}
    for answer in printed["answers"].values():
        always = {"text", "model", "voices", "lost", "notes", "usage", "seconds", "measures"}
        assert set(answer) - {"form", "check", "findings"} == always
        assert set(answer["measures"]) == {
            "reference_count",
            "references",
            "shares",
            "entropy",
            "depth",
            "hill_number",
            "effective",
            "excluded",
            "berger_parker",
            "dominance",
            "out_of_frame",
            "sentiment",
            "words",
        }
        assert sum(answer["measures"]["shares"].values()) == pytest.approx(1)
    council = printed["answers"]["multiplex"]
    assert [voice["perspective"] for voice in council["voices"]] == printed["frame"]
    assert all(
        set(voice) == {"persona", "perspective", "text", "error", "seconds", "usage", "positions", "asks"}
        for voice in council["voices"]
    )
    assert council["usage"]["calls"] == 9
    assert (council["form"], council["check"], council["findings"]) == ("essay", "model", [])
    assert printed["answers"]["uniplex"].keys().isdisjoint({"form", "check", "findings"})
    assert printed["answers"]["uniplex"]["voices"] == printed["answers"]["uniplex"]["lost"] == []
    kept = json.loads(record.read_text("utf-8"))["answers"]["multiplex"]
    assert {found["perspective"] for found in kept["measures"]["found"]} >= {"african", "east_asian", "western"}
    assert kept["scaffold"] == []
    assert (kept["form"], kept["check"]) == ("essay", "model")
    assert len(kept["rounds"][0]["digest"]) == 64


def test_the_baseline_is_the_question_alone(talking: Backend) -> None:
    run("answer", QUESTION, *at(talking), "--json", "--strategy", "uniplex")
    assert [m["role"] for m in talking.requests[0]["messages"]] == ["user"]
    assert asked(talking.requests[0]) == QUESTION


def test_the_contextual_strategy_is_one_call_with_principles(talking: Backend) -> None:
    done = run("answer", QUESTION, *at(talking), "--json", "--strategy", "contextual")
    assert list(json.loads(done.stdout)["answers"]) == ["contextual"]
    assert len(talking.requests) == 1
    assert "multiplexity" in talking.system_prompts()[0]


def test_what_is_printed_for_people(talking: Backend) -> None:
    done = run("answer", QUESTION, *at(talking), "--seed", "3", "--show-voices")
    assert done.returncode == 0
    for said in (
        "entropy",
        "Hill number (order 1)",
        "excluded perspectives",
        "they represent no people",
        "Seed 3",
        "The Islamic voice",
    ):
        assert said in " ".join(done.stdout.split())
    assert "model: test-model, at http://127.0.0.1" in done.stderr
    assert "African: done" in done.stderr


def test_quiet_prints_the_answers_alone(talking: Backend) -> None:
    done = run("answer", QUESTION, *at(talking), "--quiet", "--strategy", "multiplex")
    assert done.stdout.strip() == TEXT
    assert done.stderr == ""


def test_quiet_tells_that_the_voices_stand_in_place_of_an_essay(backend: Backend) -> None:
    backend.script = lambda body, n: Say(status=400) if "You write one essay" in asked(body) else Say(TEXT)
    done = run("answer", QUESTION, *at(backend), "--quiet", "--strategy", "multiplex")
    assert (done.returncode, done.stdout.count(TEXT)) == (0, 7)
    assert done.stderr.startswith("multiplex: the synthesizer failed (")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("way", ["file", "stdin", "dash"])
def test_the_question_comes_from_a_file_or_standard_input(way: str, talking: Backend, tmp_path: Path) -> None:
    file = tmp_path / "q.txt"
    file.write_text(QUESTION + "\n", "utf-8")
    source = {"file": [f"@{file}"], "stdin": [], "dash": ["-"]}[way]
    done = run(
        "answer", *source, *at(talking), "--json", "--strategy", "uniplex", stdin=QUESTION if way != "file" else None
    )
    assert json.loads(done.stdout)["question"] == QUESTION


@pytest.mark.parametrize("ending", [".md", ".html"])
def test_a_document_is_written_with_foreign_text_escaped(ending: str, backend: Backend, tmp_path: Path) -> None:
    backend.script = lambda body, n: Say("<script>alert(1)</script> Ubuntu is care. ![x](http://tracker.invalid/x.png)")
    file = tmp_path / f"answer{ending}"
    done = run("answer", "Why <b>so</b>?", *at(backend), "--quiet", "--show-voices", "--output", str(file))
    assert done.returncode == 0, done.stderr
    text = file.read_text("utf-8")
    assert "The Islamic voice" in text
    assert "entropy" in text
    if ending == ".html":
        assert "<script>" not in text
        assert "<b>so</b>" not in text
        assert "<img" not in text
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), MultiplexError("a file is damaged")], ids=["ctrl-c", "error"])
def test_an_answer_that_could_not_be_measured_is_shown_and_kept(
    stop: BaseException, talking: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise stop

    monkeypatch.setattr("multiplex.cli.answer.measured", fail)
    file = tmp_path / "answer.json"
    done = run_here("answer", QUESTION, *at(talking), "--strategy", "uniplex", "--json", "--output", str(file))
    assert done.returncode == (130 if isinstance(stop, KeyboardInterrupt) else 1)
    for text in (done.stdout, file.read_text("utf-8")):
        answer = json.loads(text)["answers"]["uniplex"]
        assert (answer["text"], answer["measures"]) == (TEXT, None)
        assert answer["notes"] == [f"uniplex: not measured: {stop if str(stop) else 'interrupted'}"]


def test_every_lost_voice_is_named(backend: Backend) -> None:
    backend.script = lose("african", "indigenous")
    done = run("answer", QUESTION, *at(backend), "--strategy", "multiplex", env={"MULTIPLEX_RETRIES": "0"})
    assert done.returncode == 0
    assert "Missing from this answer: " in done.stdout
    said = " ".join(done.stdout.split())
    assert "the African voice was lost" in said
    assert "the Indigenous voice was lost" in said
    assert "500" in said


def test_too_many_lost_voices_exit_4_and_lose_nothing_finished(backend: Backend) -> None:
    backend.script = lose("african", "indigenous", "western")
    done = run("answer", QUESTION, *at(backend), "--json", env={"MULTIPLEX_RETRIES": "0"})
    assert done.returncode == 4
    assert "3 of 7 voices lost, 5 must speak" in done.stderr
    printed = json.loads(done.stdout)
    assert list(printed["answers"]) == ["uniplex"]
    assert {voice["perspective"] for voice in printed["spoken"]} == {
        "islamic",
        "east_asian",
        "south_asian",
        "latin_american",
    }
    quiet = ["--quiet", "--strategy", "multiplex"]
    done = run("answer", QUESTION, *at(backend), *quiet, env={"MULTIPLEX_RETRIES": "0"})
    assert done.returncode == 4
    assert done.stdout.count("The Islamic voice") == 1
    assert done.stdout.count(TEXT) == 4


WRONG = [
    (["answer", ""], "the question is empty"),
    (["answer", "   "], "the question is empty"),
    (["answer", "x" * 20_001], "at most 20,000"),
    (["answer", "@/nowhere/question.txt"], "No such file"),
    (["answer", "Why?", "--strategy", "duplex"], "no strategy 'duplex'"),
    (["answer", "Why?", "--strategy", "uniplex", "--stance", "yes|no"], "add the strategy multiplex"),
    (["score", "merge", "parts", "--html", "page.html"], "leave out every flag but --summary"),
    (["answer", "Why?", "--council", "klingon"], "no persona 'klingon'"),
    (["answer", "Why?", "--voice-model", "islamic"], "write PERSPECTIVE=MODEL"),
    (["answer", "Why?", "--voice-model", "martian=local"], "no perspective 'martian'"),
    (["answer", "Why?", "--plan", "maybe"], "there are default and model"),
    (["answer", "Why?", "--rounds", "0"], "--rounds"),
    (["answer", "Why?", "--min-voices", "8"], "--min-voices must be 1 to 7"),
    (["answer", "Why?", "--frame", "martian,western"], "unknown perspective 'martian'"),
    (["answer", "Why?", "--output", "answer.pdf"], "must end in .json, .md, .html"),
    (["answer", "Why?", "--output", "/nowhere/answer.md"], "does the folder exist"),
    (["answer", "Why?", "--no-such-flag"], "No such option"),
    (["personas", "klingon"], "no persona 'klingon'"),
    (["nonsense"], "No such command"),
]


@pytest.mark.parametrize(("arguments", "said"), WRONG, ids=[" ".join(a)[:40] for a, _ in WRONG])
def test_wrong_input_exits_2_with_one_line_before_any_call(arguments: list[str], said: str, talking: Backend) -> None:
    endpoint = at(talking) if arguments[0] == "answer" else []
    done = run(*arguments, *endpoint)
    assert done.returncode == 2, done.stderr
    assert said in " ".join(done.stderr.split())
    assert done.stdout == ""
    assert talking.requests == []


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (["--model", "some-name"], "say where it runs"),
        (["--model", "x", "--base-url", "nonsense"], "no http(s) address"),
        (["--base-url", "http://127.0.0.1:1/v1"], "needs --model"),
        (["--model", ""], "--model is empty"),
        (["--model", "m", "--base-url", "http://127.0.0.1:1/\udcff"], "--base-url: not UTF-8 text"),
        (["--model", "m", "--base-url", "http://127.0.0.1:1/v1", "--api-key-env", ""], "--api-key-env is empty"),
    ],
)
def test_an_unknown_model_exits_2(model: list[str], said: str) -> None:
    done = run("answer", "Why?", *model)
    assert done.returncode == 2
    assert said in done.stderr


@pytest.mark.parametrize("first", ["answer Why?", "bench run --limit 2", "survey run"])
def test_a_key_that_is_missing_is_told_once_and_nothing_is_begun(first: str, talking: Backend, tmp_path: Path) -> None:
    survey = {"question": "Is it?", "options": ["Yes", "No"], "country": "Kenya", "distribution": [0.5, 0.5]}
    (tmp_path / "survey.jsonl").write_text(json.dumps(survey))
    models = "--model" if first.startswith("answer") else "--models"
    file = ["survey.jsonl"] if first.startswith("survey") else []
    at_key = [models, "m", "--base-url", talking.base_url, "--api-key-env", "NO_KEY"]
    done = run(*first.split(), *file, *at_key, cwd=tmp_path)
    assert (done.returncode, done.stdout, talking.requests) == (2, "", [])
    assert done.stderr == "multiplex: model 'm' needs a key: set NO_KEY, or name another with --api-key-env\n"
    assert [path.name for path in tmp_path.iterdir()] == ["survey.jsonl"]


WRITTEN = ["score {} --html {}", "score {} --no-sentiment --summary {}", "survey prepare {}", "validate --data {}"]


@pytest.mark.parametrize("command", WRITTEN)
def test_no_command_writes_over_the_file_that_it_reads(command: str, tmp_path: Path) -> None:
    file = tmp_path / ("validation.md" if command.startswith("validate") else "survey.jsonl")
    row = {"text": "Koreans greet elders.", "perspective": "east_asian", "question": "Is it?", "options": ["Yes", "No"],
           "country": "Kenya", "distribution": [0.5, 0.5]}  # fmt: skip
    file.write_text(json.dumps(row))
    done = run(*command.replace("{}", file.name).split(), cwd=tmp_path)
    assert done.returncode == 2
    assert f"{file.name}: this file is read, and would be lost" in done.stderr
    assert json.loads(file.read_text()) == row


@pytest.mark.parametrize(
    "command",
    ["answer Why? --output", *(each.rpartition(" ")[0] for each in WRITTEN[:2]), "validate --data {} --output"],
)
def test_a_folder_that_takes_no_file_is_told_before_anything_is_asked_or_measured(
    command: str, talking: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("multiplex.content.os.access", lambda _, mode: mode != os.W_OK)  # root may write everywhere
    file = tmp_path / "texts.jsonl"
    file.write_text(json.dumps({"text": "Koreans greet elders.", "perspective": "east_asian"}))
    endpoint = at(talking) if command.startswith("answer") else []
    done = run_here(*command.format(file).split(), str(tmp_path / "made.md"), *endpoint)
    assert (done.returncode, done.stdout, talking.requests) == (2, "", [])
    assert "made.md: cannot be written there" in done.stderr


def test_a_typo_in_a_persona_file_is_told_with_its_place(talking: Backend, tmp_path: Path) -> None:
    file = tmp_path / "african.yaml"
    file.write_text((agents() / "african.yaml").read_text("utf-8").replace("title: African", "titel: African"), "utf-8")
    done = run("answer", "Why?", *at(talking), "--council", str(file))
    assert done.returncode == 2
    assert f"{file}:" in done.stderr
    assert "title" in done.stderr


def test_no_endpoint_there_exits_3() -> None:
    done = run("answer", "Why?", "--model", "m", "--base-url", "http://127.0.0.1:9/v1", env={"MULTIPLEX_RETRIES": "0"})
    assert done.returncode == 3
    assert "nothing answers there" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("status", [401, 429, 500])
def test_an_endpoint_that_refuses_everything_exits_3(status: int, backend: Backend) -> None:
    backend.script = lambda body, n: Say(status=status)
    env = {"MY_KEY": "sk-thisisaverysecretkey123", "MULTIPLEX_RETRIES": "0"}
    done = run("answer", "Why?", *at(backend), "--api-key-env", "MY_KEY", env=env)
    assert done.returncode == 3
    assert str(status) in done.stderr


@pytest.mark.parametrize("debug", [[], ["--debug"]])
def test_no_key_is_in_any_text_whatever_the_endpoint_says(debug: list[str], backend: Backend, tmp_path: Path) -> None:
    key = "an-unusual-secret-1234"
    backend.script = lambda body, n: Say(status=400, error={"message": f"wrong key {key}", "type": "x"})
    done = subprocess.run(
        [*COMMAND, "answer", "Why?", *at(backend), "--api-key-env", "MY_KEY", *debug],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "MY_KEY": key},
    )
    assert done.returncode == 3
    assert ("Traceback" in done.stderr) == bool(debug)
    assert key not in done.stderr + done.stdout


def test_a_backend_that_dies_in_the_middle_loses_voices_by_name(backend: Backend) -> None:
    backend.script = lambda body, n: Say(TEXT, cut_after=3)
    done = run("answer", "Why?", *at(backend), "--strategy", "multiplex", env={"MULTIPLEX_RETRIES": "0"})
    assert done.returncode == 3
    assert "broke in the middle" in done.stderr


def test_a_council_of_ones_own_speaks_and_counts_out_of_frame(talking: Backend, tmp_path: Path) -> None:
    text = (agents() / "african.yaml").read_text("utf-8")
    own = tmp_path / "stoic.yaml"
    own.write_text(
        text.replace("name: african", "name: stoic", 1).replace("perspective: african", "perspective: stoic", 1),
        "utf-8",
    )
    done = run(
        "answer",
        QUESTION,
        *at(talking),
        "--json",
        "--strategy",
        "multiplex",
        "--council",
        "western,islamic",
        "--council",
        str(own),
    )
    printed = json.loads(done.stdout)
    assert [v["perspective"] for v in printed["answers"]["multiplex"]["voices"]] == ["western", "islamic", "stoic"]
    assert "stoic" not in printed["answers"]["multiplex"]["measures"]["shares"]


def test_another_frame_is_counted_over(talking: Backend) -> None:
    done = run(
        "answer",
        QUESTION,
        *at(talking),
        "--json",
        "--strategy",
        "uniplex",
        "--frame",
        "western,african,southeast_asian",
    )
    measures = json.loads(done.stdout)["answers"]["uniplex"]["measures"]
    assert list(measures["shares"]) == ["western", "african", "southeast_asian"]
    assert measures["out_of_frame"] > 0


def test_the_same_seed_asks_the_same(talking: Backend) -> None:
    def sent() -> list[str]:
        talking.requests.clear()
        run("answer", QUESTION, *at(talking), "--json", "--seed", "5")
        return sorted(json.dumps(body, sort_keys=True) for body in talking.requests)

    assert sent() == sent()


def test_a_closed_pipe_ends_without_a_word(talking: Backend) -> None:
    command = [*COMMAND, "personas", "islamic"]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(writer)
    assert done.returncode == 1
    assert done.stderr == ""


def test_a_full_disk_says_so_and_leaves_no_half_file(talking: Backend) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*FRESH, "personas"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("way", ["argument", "file", "-"])
def test_a_question_that_is_no_utf_8_is_refused(way: str, talking: Backend, tmp_path: Path) -> None:
    file = tmp_path / "q.txt"
    content = "Wer pflegt die Älteren?".encode("latin-1") if way != "-" else QUESTION.encode("utf-16-le")
    file.write_bytes(content)
    given = {"argument": content, "file": f"@{file}", "-": "-"}[way]
    done = subprocess.run([*COMMAND, "answer", given, *at(talking)], input=content, capture_output=True, timeout=60)
    assert (done.returncode, done.stdout, talking.requests) == (2, b"", [])
    assert b": not UTF-8 text" in done.stderr


def test_the_mark_before_a_text_is_no_part_of_the_question(talking: Backend, tmp_path: Path) -> None:
    (tmp_path / "q.txt").write_text(QUESTION, "utf-8-sig")
    run("answer", f"@{tmp_path / 'q.txt'}", *at(talking), "--quiet", "--strategy", "uniplex")
    assert asked(talking.requests[0]) == QUESTION


@pytest.mark.parametrize(("closed", "code"), [("<&-", 2), (">&- 2>&-", 0)])
def test_standard_streams_that_are_closed_are_no_bug(closed: str, code: int, talking: Backend) -> None:
    arguments = ["answer", *([] if "<" in closed else [QUESTION]), *at(talking), "--quiet", "--strategy", "uniplex"]
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", *FRESH, *arguments], capture_output=True, timeout=60
    )
    assert (done.returncode, len(talking.requests)) == (code, 1 if code == 0 else 0)
    assert b"bug" not in done.stderr
    assert b"Traceback" not in done.stderr


def test_ctrl_c_keeps_what_was_said_and_exits_130(backend: Backend) -> None:
    slow = Council.load("african").personas[0].speaker.split(".")[0]
    simply = "Families talk."

    def script(body: Body, _: int) -> Say:
        return Say(simply if asked(body) == QUESTION else TEXT, delay=30.0 if slow in asked(body) else 0.0)

    backend.script = script
    process = subprocess.Popen(
        [*COMMAND, "answer", QUESTION, *at(backend)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    lines = iter(process.stderr.readline, "")
    done = list(itertools.islice((line for line in lines if ": done, " in line), 7))  # six voices and the plain answer
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert len(done) == 7, err
    assert process.returncode == 130
    assert "interrupted" in err
    assert "The Islamic voice:" in err + out
    assert f"The uniplex answer:\n{simply}" in err
    assert "Traceback" not in err


def test_ctrl_c_while_the_commands_are_imported_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise KeyboardInterrupt")
    start = "import sys; sys.path.insert(0, sys.argv.pop()); from multiplex.cli.start import main; main()"
    done = subprocess.run([*FRESH[:-1], start, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "multiplex: interrupted\n")


def test_on_a_terminal_the_answer_streams_under_a_line_per_voice(talking: Backend) -> None:
    main_end, other_end = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "answer", QUESTION, *at(talking)],
        stdin=other_end,
        stdout=other_end,
        stderr=other_end,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "60"},
    )
    os.close(other_end)
    shown = b""
    while True:
        try:
            piece = os.read(main_end, 65536)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    os.close(main_end)
    assert process.wait(timeout=60) == 0
    text = shown.decode("utf-8", "replace")
    assert "waiting" in text
    assert "done" in text
    assert text.index("Ubuntu asks that kin share care.") < text.index("entropy")


def test_the_version_is_told() -> None:
    done = run("--version")
    assert done.returncode == 0
    assert done.stdout.strip() == version("multiplex-worldviews")


def test_personas_are_listed_and_shown_for_what_they_are() -> None:
    listed = run("personas").stdout
    assert all(f"{persona.name} " in listed and persona.title in listed for persona in built_in())
    assert "not reviewed by members" in listed
    assert "they represent no people" in listed
    assert "reviewed_by_members: false" in run("personas", "islamic").stdout


def test_models_says_which_and_why(tmp_path: Path) -> None:
    env = {"MULTIPLEX_CACHE": str(tmp_path), "OPENAI_API_KEY": "sk-notforprinting123"}
    done = run("models", env=env)
    assert done.returncode == 0
    assert "model: local, at this machine (no other model is named)" in done.stdout
    assert "--model openai:NAME would use it" in done.stdout
    assert "not here" in done.stdout
    assert "notforprinting" not in done.stdout + done.stderr
    assert run("models", "verify", env=env).returncode == 3


def test_without_a_model_the_sourcebooks_answer_and_what_is_missing_is_told(tmp_path: Path) -> None:
    file = tmp_path / "weights.gguf"
    file.write_bytes(b"not a model at all")
    done = run("answer", "What do we owe our parents?", "--json", env={"MULTIPLEX_GGUF": str(file)})
    assert done.returncode == 1
    assert str(file) in done.stderr
    printed = json.loads(done.stdout)
    assert set(printed["answers"]) == {"multiplex"}
    assert str(file) in printed["failed"]["uniplex"]
    voices = printed["answers"]["multiplex"]["voices"]
    assert sum(bool(voice["positions"]) for voice in voices) >= 6
    assert all(voice["asks"] is None for voice in voices)
    done = run("answer", "Why?", "--strategy", "uniplex", env={"MULTIPLEX_GGUF": str(file)})
    assert (done.returncode, done.stdout) == (3, "")


def test_truncated_weights_are_told_and_llama_cpp_stays_silent(tmp_path: Path) -> None:
    file = tmp_path / "weights.gguf"
    file.write_bytes(b"GGUF\x03\x00\x00\x00" + bytes(1000))
    done = run("answer", "Why?", "--quiet", "--strategy", "uniplex", env={"MULTIPLEX_GGUF": str(file)})
    assert done.returncode == 3
    assert "cannot load this file as a model" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_what_the_synthesis_kept_is_in_the_record_and_leave_one_out_only_where_asked(
    talking: Backend, tmp_path: Path
) -> None:
    record = tmp_path / "record.json"
    done = run(
        "answer",
        QUESTION,
        *at(talking),
        "--strategy",
        "multiplex",
        "--coverage",
        "leave-one-out",
        "--output",
        str(record),
    )
    assert done.returncode == 0, done.stderr
    assert len(talking.requests) == 9 + 7
    whole = json.loads(record.read_text())["answers"]["multiplex"]
    assert whole["nulls"] == whole["leave_one_out"]
    assert set(whole["leave_one_out"]) == {persona.perspective for persona in Council.load().personas}
    assert whole["kept"] == whole["retention"]
    of = whole["retention"]["coverage"]["perspectives"]["islamic"]
    assert (of["null"], of["share"], of["without"], of["net"]) == ("run", 1.0, 1.0, None)  # all voices say the same
    assert "The syntheses without a voice took 7 further calls." in " ".join(done.stdout.split())
    assert "overlap" in done.stdout
    plain = run("answer", QUESTION, *at(talking), "--strategy", "multiplex", "--output", str(record))
    assert plain.returncode == 0
    assert "leave_one_out" not in json.loads(record.read_text())["answers"]["multiplex"]


def test_a_wrong_coverage_is_told_before_anything_is_sent(talking: Backend) -> None:
    assert "there are overlap and leave-one-out" in run("answer", QUESTION, *at(talking), "--coverage", "all").stderr
    missing = run("answer", QUESTION, *at(talking), "--nli-model", "/no/such/model")
    assert missing.returncode == 2
    assert "NLI model '/no/such/model' cannot be loaded" in missing.stderr
    assert not talking.requests
