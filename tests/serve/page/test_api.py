"""What the page is told when it opens, and who and what is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from multiplex.council.personas import Council, agents
from multiplex.serve.page.routes import POLICY
from tests.backend import Backend
from tests.bench import synthetic
from tests.command import at, run
from tests.serve.luck import QUESTION, bugs, metric, until
from tests.serve.page.scripted import SIMPLY_ASKED, VOICES
from tests.serve.page.visit import UNMEASURED, House, Page, opened, told
from tests.serve.server import KEY, Served, serving

OTHER = "another-key-for-the-tests"


@pytest.fixture(scope="module")
def _locked(_server: tuple[Backend, Served]) -> Iterator[Served]:
    with opened(_server[0], env={"MULTIPLEX_API_KEYS": f"{KEY},{OTHER}"}) as served:
        yield served


@pytest.fixture
def locked(_locked: Served, house: House) -> tuple[Page, Page]:
    """The page of a server with keys, as its two callers see it."""
    assert house.backend.requests == []
    return Page(_locked, KEY), Page(_locked, OTHER)


# --- who and what is refused


@pytest.mark.parametrize("path", ["/page/answers", "/page/estimate"])
@pytest.mark.parametrize(
    ("fields", "status", "expected"),
    [
        ({"question": "x" * 20_001}, 413, {"code": "question_too_long"}),
        ({"question": "Who?", "strategies": []}, 400, {"param": "strategies"}),
        ({"question": "Who?", "strategies": ["checklist"]}, 400, {}),
        ({"question": "Who?", "strategies": "multiplex"}, 400, {"param": "strategies"}),
        ({"question": "Who?", "council": "no-such"}, 404, {}),
        ({"question": "Who?", "council": "uniplex"}, 404, {"code": "council_not_found", "param": "council"}),
        ({"question": "Who?", "model": "no-such"}, 404, {"code": "model_not_found", "param": "model"}),
        ({"question": "Who?", "model": "\u202e\0"}, 404, {"code": "model_not_found", "param": "model"}),
        ({"question": "Who?", "seed": -1}, 400, {"param": "seed"}),
        ({"question": "Who?", "seed": 2**31}, 400, {"param": "seed"}),
        ({"question": "Who?", "seed": "7"}, 400, {"param": "seed"}),
        ({"question": ["Who?"]}, 400, {"param": "question"}),
        ({"question": "Who?", "extra": 1}, 400, {"param": "extra"}),
        ({"question": "Who?", "after": 7}, 400, {"param": "after"}),
        ({"question": "Who?", "padding": "x" * 1_000_001}, 413, {}),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused_by_its_field(
    house: House, path: str, fields: dict[str, Any], status: int, expected: dict[str, Any]
) -> None:
    message = told(house.page.post(path, **fields), status, **expected)
    assert len(message) < 400
    assert house.backend.requests == []


def test_a_council_that_is_not_there_is_told_as_one(house: House) -> None:
    reply = house.page.post("/page/answers", question="Who?", council="no-such")
    assert "council" in told(reply, 404, code="council_not_found", param="council")


@pytest.mark.parametrize("question", ["", " \n\u3000", "\0"])
def test_nothing_cannot_be_asked(house: House, question: str) -> None:
    assert told(house.page.post("/page/answers", question=question), 400) == "the question is empty"


def test_a_question_of_twenty_thousand_characters_is_asked(house: House) -> None:
    question = "why " * 4_999 + "why?"
    assert house.page.answered(question, strategies=["uniplex"])["question"] == question
    assert house.backend.requests[0]["messages"][-1]["content"] == question


def test_halves_of_characters_and_nul_do_not_stop_a_question(house: House) -> None:
    body = '{"question": "What \\ud800 is\\u0000 \\udc00 due?", "strategies": ["uniplex"]}'
    reply = house.page.request("POST", "/page/answers", content=body, headers={"Content-Type": "application/json"})
    assert reply.status_code == 202, reply.text
    assert house.page.ended(reply.json()["id"])["question"] == "What ? is ? due?"


@pytest.mark.parametrize("path", ["/page/answers", "/page/estimate", "/page/session"])
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_a_form_of_another_page_cannot_ask(house: House, path: str, kind: str) -> None:
    body = json.dumps({"question": QUESTION, "key": KEY})
    told(house.page.request("POST", path, content=body, headers={"Content-Type": kind}), 415)
    assert house.backend.requests == []


@pytest.mark.parametrize("path", ["/", "/page/setup", "/answers/x", "/static/main.js"])
@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", ""])
def test_another_name_of_this_machine_is_refused(house: House, path: str, host: str) -> None:
    reply = house.page.request("GET", path, headers={"Host": host})
    assert "localhost only" in told(reply, 400)
    assert reply.headers["Content-Security-Policy"] == POLICY


PATHS = ["/", "/answers/x", "/runs", "/runs/a/b", "/static/main.js", "/static/colours.css", "/static/no-such",
         "/static/", "/page/setup", "/page/answers/none", "/page/runs", "/reports/x", "/v1/models", "/healthz",
         "/no-such", "/static/..%2froutes.py", "/static/%00"]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_every_reply_forbids_all_that_is_foreign(house: House, path: str) -> None:
    reply = house.page.request("GET", path, headers={"Origin": "https://evil.example"})
    assert reply.status_code in (200, 404)
    assert reply.headers["Content-Security-Policy"] == POLICY
    assert "default-src 'none'" in POLICY
    assert "unsafe" not in POLICY
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert reply.headers["Referrer-Policy"] == "no-referrer"
    assert not [name for name in reply.headers if name.startswith("access-control")]
    assert "set-cookie" not in reply.headers


def test_a_bug_is_told_in_one_line_under_the_same_policy(backend: Backend) -> None:
    broken = "import multiplex.serve.page.backend as it; it.Page.shown = None"
    with opened(backend, before=broken) as served:
        reply = httpx.get(f"{served.url}/page/answers/x")
        assert "please report it" in told(reply, 500)
        assert reply.headers["Content-Security-Policy"] == POLICY


def test_no_other_page_is_let_in(house: House) -> None:
    preflight = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST",
                 "Access-Control-Request-Headers": "content-type"}  # fmt: skip
    reply = house.page.request("OPTIONS", "/page/answers", headers=preflight)
    assert reply.status_code == 405
    assert not [name for name in reply.headers if name.startswith("access-control")]


def test_all_that_the_document_loads_is_here(house: House) -> None:
    document = house.page.request("GET", "/").text
    loaded = [path for path in re.findall(r'(?:src|href)="([^"]+)"', document) if path != "#main"]
    assert loaded
    for path in loaded:
        assert path.startswith("/")
        reply = house.page.request("GET", path)
        assert reply.status_code == 200, path
        assert not re.search(r"https?://(?!www\.w3\.org/)", reply.text), path
    assert house.page.request("GET", "/static/main.js").headers["Content-Type"].startswith("text/javascript")


# --- keys


def test_without_a_key_nothing_is_shown_but_the_empty_page(locked: tuple[Page, Page], house: House) -> None:
    stranger = Page(locked[0].served)
    name = locked[0].answered(strategies=["uniplex"])["id"]
    house.backend.requests.clear()
    assert stranger.request("GET", "/").status_code == 200
    for path in ("/page/setup", f"/page/answers/{name}", f"/page/answers/{name}/events", "/page/runs", "/reports/x",
                 f"/page/answers/{name}/download.json", "/page/runs/x/units", "/page/runs/x/units/y"):  # fmt: skip
        told(stranger.request("GET", path), 401, code="invalid_api_key")
        told(Page(stranger.served, "wrong").request("GET", path), 401, code="invalid_api_key")
    for path in ("/page/answers", "/page/estimate"):
        told(stranger.post(path, question=QUESTION), 401)
        told(stranger.post(path, nonsense=QUESTION), 401)
    told(stranger.post(f"/page/answers/{name}/cancel"), 401)
    assert house.backend.requests == []


@pytest.mark.parametrize("key", ["", "wrong", KEY[:-1], f"{KEY},{OTHER}", "ключ", "\ud800"])
def test_a_wrong_key_begins_no_session(locked: tuple[Page, Page], key: str) -> None:
    body = json.dumps({"key": key})
    reply = Page(locked[0].served).request(
        "POST", "/page/session", content=body, headers={"Content-Type": "application/json"}
    )
    assert reply.status_code in (400, 401)
    assert "set-cookie" not in reply.headers
    assert "\n" not in reply.json()["error"]["message"]


def test_a_key_is_given_once_and_then_a_cookie_stands_in_that_no_script_reads(
    locked: tuple[Page, Page], house: House
) -> None:
    url = locked[0].served.url
    with httpx.Client(base_url=url) as visitor:
        begun = visitor.post("/page/session", json={"key": KEY})
        assert begun.status_code == 204
        cookie = begun.headers["set-cookie"]
        assert re.fullmatch(r"multiplex-\d+=[\w-]{40,}; HttpOnly; Path=/; SameSite=strict", cookie)
        assert KEY not in cookie
        assert visitor.get("/page/setup").status_code == 200
        name = visitor.post("/page/answers", json={"question": QUESTION, "strategies": ["uniplex"]}).json()["id"]
        until(lambda: visitor.get(f"/page/answers/{name}").json()["state"] == "ended", "the end")
        assert visitor.get(f"/page/answers/{name}/download.md").status_code == 200
        wrong = visitor.get("/page/setup", headers={"Authorization": "Bearer wrong"})
        assert wrong.status_code == 401
        with opened(house.backend, env={"MULTIPLEX_API_KEYS": OTHER}) as beside:  # on another port of this host
            assert visitor.post(f"{beside.url}/page/session", json={"key": OTHER}).status_code == 204
            assert visitor.get(f"{beside.url}/page/setup").status_code == 200
        assert visitor.get("/page/setup").status_code == 200
    told(httpx.get(f"{url}/page/setup", cookies={cookie.partition("=")[0]: "x" * 43}), 401)
    told(httpx.get(f"{url}/v1/models", headers={"Cookie": cookie.split(";")[0]}), 401)  # the API takes keys only


def test_a_session_ends_with_the_server(house: House) -> None:
    env = {"MULTIPLEX_API_KEYS": KEY}
    with opened(house.backend, env=env) as served:
        cookie = httpx.post(f"{served.url}/page/session", json={"key": KEY}).headers["set-cookie"].split(";")[0]
        assert httpx.get(f"{served.url}/page/setup", headers={"Cookie": cookie}).status_code == 200
    with opened(house.backend, env=env) as served:
        told(httpx.get(f"{served.url}/page/setup", headers={"Cookie": cookie}), 401)


def test_another_caller_may_read_but_neither_cancel_nor_go_on(locked: tuple[Page, Page], house: House) -> None:
    mine, other = locked
    with house.play.holding(VOICES):
        name = mine.ask()
        told(other.post(f"/page/answers/{name}/cancel"), 403, code="not_yours")
        assert other.get(f"/page/answers/{name}")["state"] == "speaking"
    shown = mine.ended(name)
    assert (shown["mine"], other.get(f"/page/answers/{name}")) == (True, shown | {"mine": False})
    for path in ("/page/answers", "/page/estimate"):
        told(other.post(path, question=QUESTION, after=name), 403, code="not_yours")
    assert mine.answered(after=name, strategies=["uniplex"])["thread"] == [{"id": name, "question": QUESTION}]


def test_who_asked_may_delete_an_answer_and_nobody_else(locked: tuple[Page, Page], house: House) -> None:
    mine, other = locked
    with house.play.holding(VOICES):
        name = mine.ask()
        told(mine.request("DELETE", f"/page/answers/{name}"), 409, code="busy")
    mine.ended(name)
    told(other.request("DELETE", f"/page/answers/{name}"), 403, code="not_yours")
    assert mine.request("DELETE", f"/page/answers/{name}").status_code == 204
    told(mine.request("DELETE", f"/page/answers/{name}"), 404)


def test_sessions_count_for_their_key_and_put_out_nobody_elses(house: House) -> None:
    few = f"{UNMEASURED}\nimport multiplex.serve.page.cookies as c; c.MOST = 2"
    with opened(house.backend, "--per-minute", "4", env={"MULTIPLEX_API_KEYS": f"{KEY},{OTHER}"}, before=few) as served:
        url = f"{served.url}/page/session"
        first = httpx.post(url, json={"key": OTHER}).headers["set-cookie"].split(";")[0]
        given = [httpx.post(url, json={"key": KEY}) for _ in range(5)]
        assert [each.status_code for each in given] == [204] * 4 + [429]
        cookies = [first, *(each.headers["set-cookie"].split(";")[0] for each in given[:4])]
        shown = [httpx.get(f"{served.url}/page/setup", headers={"Cookie": each}).status_code for each in cookies]
        assert shown == [200, 401, 401, 200, 200]


def test_a_question_counts_once_for_its_key_in_however_many_ways_it_is_asked(house: House) -> None:
    env = {"MULTIPLEX_API_KEYS": f"{KEY},{OTHER}"}
    with opened(house.backend, "--per-minute", "2", env=env) as served:
        page = Page(served, KEY)
        for _ in range(3):
            page.estimate()  # costs nothing and counts for nothing
        first = page.answered(strategies=["uniplex", "contextual", "multiplex"])
        page.answered(after=first["id"])
        over = page.post("/page/answers", question=QUESTION)
        told(over, 429, code="too_many_requests")
        assert 0 < int(over.headers["Retry-After"]) <= 60
        assert metric(served, "multiplex_councils_under_way", KEY) == 0
        assert Page(served, OTHER).ask()


def test_neither_keys_nor_what_is_asked_and_answered_are_in_the_logs(locked: tuple[Page, Page], house: House) -> None:
    private = "Sphinx-of-black-quartz"
    mine, _ = locked
    url = mine.served.url
    mine.answered(private)
    house.play.change(["african", SIMPLY_ASKED], status=500, error={"message": f"no {private}"})
    mine.answered(private)
    for body in ({"question": private, "strategies": [private]}, {"question": private, "council": private},
                 {"question": private, "model": private}, {"question": private * 1_000}):  # fmt: skip
        mine.post("/page/answers", **body)
    httpx.post(f"{url}/page/session", json={"key": f"{private}-key"})
    mine.request("GET", f"/page/answers/{private}")
    until(lambda: len([line for line in mine.served.logs if line.get("page")]) >= 4, "a line for each strategy")
    assert not any(
        word in line for line in mine.served.errors for word in (private, KEY, OTHER, "Ubuntu", "Seven voices")
    )
    lines = [line for line in mine.served.logs if line.get("page")]
    assert {line["caller"] for line in lines} == {"key 1"}
    assert {"ok", "model_server"} <= {line["outcome"] for line in lines}
    assert bugs(mine.served) == []


# --- how it is started


@pytest.mark.parametrize("flag", [("--runs", "."), ("--ui-model", "x"), ("--prices", "prices.toml")])
def test_what_is_for_the_page_needs_the_page(backend: Backend, flag: tuple[str, str]) -> None:
    done = run("serve", *at(backend), "--port", "0", *flag)
    assert done.returncode == 2
    assert f"{flag[0]} is for the web page: say --ui too" in done.stderr
    assert (done.stdout, len(done.stderr.splitlines())) == ("", 1)


def test_what_the_page_is_given_is_looked_at_before_anything_is_opened(backend: Backend, tmp_path: Path) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text('"x" = { input = -1, output = 1 }')
    for flags, said in (
        (("--runs", str(tmp_path / "no-such")), "no such folder"),
        (("--prices", str(tmp_path / "no-such.toml")), "no-such.toml"),
        (("--prices", str(prices)), "prices.toml"),
    ):
        done = run("serve", *at(backend), "--port", "0", "--ui", *flags)
        assert done.returncode == 2, (flags, done.stderr)
        assert said in done.stderr
        assert done.stdout == ""


def test_without_the_page_its_paths_are_not_there(backend: Backend) -> None:
    with serving(backend) as served:
        for path in ("/", "/page/setup", "/static/main.js", "/answers/x", "/runs"):
            assert httpx.get(f"{served.url}{path}").status_code == 404


def test_the_page_is_told_who_can_be_asked_and_what_each_voice_is(house: House) -> None:
    setup = house.page.get("/page/setup")
    personas = {persona.digest: persona for persona in Council.load().personas}
    assert set(setup["personas"]) == set(personas)
    for digest, shown in setup["personas"].items():
        assert [each["of"] for each in shown["sources"]] == [idea.name for idea in personas[digest].ideas]
        assert shown["about"].startswith("An editorial construction")
    assert [each["name"] for each in setup["models"]] == ["test-model"]
    assert setup["models"][0]["limit"] == 20_000
    assert setup["runs"] is False
    assert setup["lasting"] is False
    told(house.page.request("GET", "/page/runs"), 404)


def test_a_persona_of_the_same_name_lends_no_other_its_sources(house: House, tmp_path: Path) -> None:
    built_in = next(each for each in Council.load().personas if each.name == "african")
    own = (agents() / "african.yaml").read_text("utf-8").replace(built_in.ideas[0].name, "an idea of our own")
    (tmp_path / "african.yaml").write_text(own, "utf-8")
    (tmp_path / "config.toml").write_text('[councils]\nelders = ["islamic", "african.yaml"]\n')
    with opened(house.backend, env={"MULTIPLEX_CONFIG": str(tmp_path / "config.toml")}) as served:
        page = Page(served)
        setup, shown = page.get("/page/setup"), page.answered(strategies=["multiplex"])
    voice = next(each for each in shown["voices"] if each["persona"] == "african")
    assert setup["personas"][voice["digest"]]["sources"][0]["of"] == built_in.ideas[0].name
    assert setup["councils"][0]["personas"] == [each.digest for each in Council.load().personas]
    assert {setup["personas"][each]["name"] for each in setup["councils"][1]["personas"]} == {"islamic", "african"}


def test_runs_are_shown_whatever_is_asked_of_them_and_a_report_runs_nothing(house: House, tmp_path: Path) -> None:
    synthetic.stored(tmp_path / "a run", synthetic.records())
    (tmp_path / "a run" / "report.html").write_text("<script>window.hacked = 1</script>")
    with opened(house.backend, "--runs", str(tmp_path)) as served:
        page = Page(served)
        assert [each["name"] for each in page.get("/page/runs")["runs"]] == ["a run"]
        assert page.get("/page/setup")["runs"] is True
        report = page.request("GET", "/reports/a%20run")
        assert report.headers["Content-Type"].startswith("text/html")
        assert {"sandbox", "default-src 'none'"} <= set(report.headers["Content-Security-Policy"].split("; "))
        assert "script-src" not in report.headers["Content-Security-Policy"]
        for after in ("0", "1", "-1", "1000000", "9" * 19, "9" * 30, "-" + "9" * 30):
            assert page.request("GET", f"/page/runs/a%20run/units?after={after}").status_code in (200, 400)
        for text in ("%00", "%ff", "%25", "_", "x" * 5_000, "%ED%A0%80"):
            assert page.request("GET", f"/page/runs/a%20run/units?text={text}&model={text}").status_code in (200, 400)
        for name in ("%00", "%2e%2e", "a%20run%2f%2e%2e", "x" * 300):
            told(page.request("GET", f"/page/runs/{name}/units"), 404)
            told(page.request("GET", f"/reports/{name}"), 404)
        assert bugs(served) == []
