"""A question under way: what its readers are told, whoever leaves, comes back or calls it off; and what follows it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from multiplex.answering import Measured
from multiplex.council.answer import Answer
from multiplex.council.locales import locale_of
from multiplex.serve.page.views import answer_view
from tests.backend import asked
from tests.serve.luck import QUESTION, bugs, metric, until
from tests.serve.page.scripted import ALONE, PERSONAS, SIMPLY_ASKED, SYNTHESIS, SYNTHESIZER, UNIPLEX, VOICES
from tests.serve.page.visit import House, Numbered, Page, calls, kinds, numbered, opened, text_of, told

CANCELLED = "cancelled before it was finished"
MEASURED = True


# --- what is told


def test_everything_that_happens_is_told_in_order_with_a_number(house: House) -> None:
    order = ["african", "western", "indigenous", "islamic", "south_asian", "latin_american", "east_asian"]
    came: list[Numbered] = []
    with house.play.holding([*order, SIMPLY_ASKED, SYNTHESIZER]):
        name, waiting = house.page.ask(), iter([*order, SYNTHESIZER])
        for number, event in house.page.follow(name):
            if number is None:
                continue
            came.append((number, event))
            if len(kinds(came, "voice.started")) == 7 and event["type"] in ("voice.started", "voice"):
                house.play.let(next(waiting))
            if event["type"] == "written" and event["strategy"] == "multiplex":
                house.play.let(SIMPLY_ASKED)
    assert [number for number, _ in came] == list(range(1, len(came) + 1))
    assert {event["perspective"] for _, event in came[:7]} == set(order)
    assert [event["type"] for _, event in came[:15]] == ["voice.started"] * 7 + ["voice"] * 7 + ["synthesis.started"]
    assert [event["voice"]["perspective"] for event in kinds(came, "voice")] == order
    drafts = [event for event in kinds(came, "draft") if event["strategy"] == "multiplex"]
    assert text_of(drafts[0]["prose"]) == SYNTHESIS.split("\n")[0]
    assert [event["strategy"] for event in kinds(came, "written")] == ["multiplex", "uniplex"]
    assert came[-1][1] == {"type": "ended", "note": None}
    shown = house.page.ended(name)
    assert [voice["perspective"] for voice in shown["voices"]] == order
    assert list(shown["voices"]) == [event["voice"] for event in kinds(came, "voice")]
    assert shown["failed"] == {}
    assert (shown["question"], shown["asked"]) == (QUESTION, QUESTION)


def test_readers_may_come_late_leave_and_come_back_and_none_misses_or_repeats_anything(house: House) -> None:
    with house.play.holding([SYNTHESIZER]), ThreadPoolExecutor() as pool:
        name = house.page.ask()

        def read(last: int | str) -> list[Numbered]:
            return numbered(house.page.follow(name, last))

        whole = pool.submit(read, 0)
        until(lambda: len(house.play.asked) == 9, "the synthesis asked for")
        first: list[Numbered] = []
        for event in house.page.follow(name):  # leaves after the fifth
            first += [event] if event[0] is not None else []
            if len(first) == 5:
                break
        later = [pool.submit(read, last) for last in (5, 12)]
        odd = [pool.submit(read, last) for last in ("nonsense", "-1", "")]
        house.play.let()
        events = whole.result()
        back, far = (each.result() for each in later)
        assert all(each.result() == events for each in odd)
    assert first + back == events
    assert far == events[12:]
    assert len(house.backend.requests) == 9


@pytest.mark.parametrize("last", ["9" * 30, "9" * 5_000, "\u0664".encode()])
def test_a_number_that_no_event_has_does_no_harm(house: House, last: str | bytes) -> None:
    with house.play.holding([SYNTHESIZER]), ThreadPoolExecutor() as pool:
        name = house.page.ask()
        until(lambda: len(house.play.asked) == 9, "the synthesis asked for")
        url = f"/page/answers/{name}/events"
        reply = pool.submit(lambda: house.page.request("GET", url, headers={"Last-Event-ID": last}))
        house.play.let()
        assert reply.result().status_code == 200
    assert house.page.ended(name)["failed"] == {}


def test_what_grows_is_told_as_it_stands_and_has_no_number(house: House) -> None:
    house.play.change(["african"], pace=0.05)
    live = [event for number, event in house.page.follow(house.page.ask()) if number is None]
    assert all(event["type"] == "live" for event in live)
    counts = [event["tokens"].get("african", 0) for event in live]
    assert max(counts) > 1
    assert counts[: counts.index(max(counts)) + 1] == sorted(counts[: counts.index(max(counts)) + 1])


def test_a_question_that_nobody_follows_is_answered_and_kept(house: House) -> None:
    shown = house.page.answered()
    assert set(shown["answers"]) == {"uniplex", "multiplex"}
    assert text_of(shown["answers"]["multiplex"]["prose"]).startswith("Seven voices answer")
    assert len(house.backend.requests) == 9


def test_a_question_under_way_is_shown_as_such_and_has_no_file_yet(house: House) -> None:
    with house.play.holding(VOICES):
        name = house.page.ask(strategies=["multiplex"])
        shown = house.page.get(f"/page/answers/{name}")
        assert shown["state"] == "speaking"
        assert shown["question"] == QUESTION
        assert shown["strategies"] == ["multiplex"]
        assert shown["seconds"] > 0
        assert told(house.page.request("GET", f"/page/answers/{name}/download.md"), 404)
    house.page.ended(name)
    told(house.page.request("GET", f"/page/answers/{name}/events"), 404, code="not_under_way")


def test_cancelling_ends_the_calls_and_keeps_what_had_come(house: House) -> None:
    slow = ["western", "islamic", "indigenous"]
    house.play.change(slow, delay=60.0)
    left = house.backend.left
    name = house.page.ask()
    events = house.page.follow(name)
    voices = 0
    for _, event in events:
        voices += event["type"] == "voice"
        if voices == 4:
            break
    until(lambda: "written" in str(numbered_so_far(house.page, name)), "the plain answer")
    assert house.page.post(f"/page/answers/{name}/cancel").status_code == 204
    shown = house.page.ended(name)
    assert shown["failed"] == {"multiplex": CANCELLED}
    assert {voice["perspective"] for voice in shown["voices"]} == set(VOICES) - set(slow)
    assert list(shown["answers"]) == ["uniplex"]
    assert shown["silent"] == [PERSONAS[name].title for name in slow]  # of the council as it was
    until(lambda: house.backend.left - left == 3, "three calls cut off")
    told(house.page.post(f"/page/answers/{name}/cancel"), 404)
    for form in ("md", "html", "json"):
        file = house.page.request("GET", f"/page/answers/{name}/download.{form}")
        assert file.status_code == 200
        assert CANCELLED in file.text
        assert "Ubuntu" in file.text
    assert metric(house.page.served, "multiplex_councils_under_way") == 0


def numbered_so_far(page: Page, name: str) -> list[Numbered]:
    """The events until something is told that only stands for now."""
    came = []
    for event in page.follow(name):
        if event[0] is None:
            break
        came.append(event)
    return came


def test_cancelling_before_anything_came_leaves_a_plain_sentence_for_each_strategy(house: House) -> None:
    house.play.change([*VOICES, SIMPLY_ASKED], delay=60.0)
    name = house.page.ask()
    until(lambda: len(house.play.asked) == 8, "all asked")
    assert house.page.post(f"/page/answers/{name}/cancel").status_code == 204
    shown = house.page.ended(name)
    assert shown["failed"] == {"uniplex": CANCELLED, "multiplex": CANCELLED}
    assert (shown["answers"], shown["voices"]) == ({}, [])
    for form in ("md", "html", "json"):
        assert CANCELLED in house.page.request("GET", f"/page/answers/{name}/download.{form}").text


def test_lost_voices_are_told_with_their_errors_and_the_rest_is_answered(house: House) -> None:
    house.play.change(["african", "western"], status=500)
    events = numbered(house.page.follow(name := house.page.ask()))
    lost = {
        event["voice"]["perspective"]: event["voice"]["error"]
        for event in kinds(events, "voice")
        if event["voice"]["error"]
    }
    assert set(lost) == {"african", "western"}
    assert all("scripted failure" in error for error in lost.values())
    shown = house.page.ended(name)
    assert set(shown["answers"]["multiplex"]["lost"]) == {"african", "western"}
    assert len(shown["voices"]) == 7


def test_halves_of_characters_in_an_endpoints_error_lose_no_answer(house: House) -> None:
    house.play.change(["african", SIMPLY_ASKED], status=500, error='{"error": {"message": "half \\ud800 of it"}}')
    shown = house.page.answered()
    assert "half ? of it" in shown["failed"]["uniplex"]
    assert "half ? of it" in next(voice["error"] for voice in shown["voices"] if voice["error"])
    assert list(shown["answers"]) == ["multiplex"]


def test_where_all_voices_are_lost_the_plain_answer_stands(house: House) -> None:
    house.play.change(VOICES, status=500)
    shown = house.page.answered()
    assert list(shown["answers"]) == ["uniplex"]
    assert "scripted failure" in shown["failed"]["multiplex"]
    assert [voice["error"] is None for voice in shown["voices"]] == [False] * 7
    house.play.change(VOICES, status=200)
    assert house.page.answered(after=shown["id"])["failed"] == {}


def test_a_synthesis_that_breaks_off_is_begun_again_before_the_reader(house: House) -> None:
    house.play.change([SYNTHESIZER], cut_after=3)
    events = numbered(house.page.follow(name := house.page.ask(strategies=["multiplex"])))
    voids = kinds(events, "void")
    assert {event["strategy"] for event in voids} == {"multiplex"}
    assert all(event["reason"] for event in voids)
    assert voids[-1]["failed"]
    (answer,) = house.page.ended(name)["answers"].values()
    assert any(voids[0]["reason"][:20] in note for note in answer["notes"])
    assert all(text.split()[0] in text_of(answer["prose"]) for text in VOICES.values())  # they stand unconnected


def test_a_server_takes_so_many_councils_at_once_and_then_more_again(house: House) -> None:
    with opened(house.backend, "--max-councils", "1") as served:
        page = Page(served)
        with house.play.holding(VOICES):
            name = page.ask()
            full = page.post("/page/answers", question=QUESTION)
            told(full, 429, code="too_many_councils")
            assert full.headers["Retry-After"] == "5"
            alone = page.ask(strategies=["uniplex"])  # no council
            assert page.ended(alone)["failed"] == {}
        page.ended(name)
        assert page.answered()["failed"] == {}


def test_an_answer_that_its_limit_cut_off_ends_with_a_sentence_and_says_so(house: House) -> None:
    house.play.change([SIMPLY_ASKED], text="Kin come first. And then it goes", finish="length")
    question = "ماذا ندين به لكبار السن في الأسرة؟"
    for asked_for, language in ((QUESTION, "en"), (question, "ar")):
        answer = house.page.answered(asked_for, strategies=["uniplex"])["answers"]["uniplex"]
        assert text_of(answer["prose"]) == "Kin come first."
        assert answer["notes"][0] == f"uniplex: {locale_of(language).say('cut')}"
        assert answer["language"] == language


def test_a_language_without_a_file_may_be_written_in_either_direction() -> None:
    made = {
        code: Measured(answer=Answer(strategy="uniplex", text="x", model="m", language=code)) for code in ("he", "")
    }
    assert [answer_view(each, {})["direction"] for each in made.values()] == ["auto", "auto"]


# --- its files


def test_files_hold_the_whole_answer_and_run_nothing(house: House) -> None:
    house.play.change(["african"], text="<script>window.hacked = 1</script> Ubuntu is care.")
    shown = house.page.answered("What of <img src=x onerror=alert(1)> then?")
    files = {
        form: house.page.request("GET", f"/page/answers/{shown['id']}/download.{form}")
        for form in ("md", "html", "json")
    }
    for form, file in files.items():
        assert file.headers["Content-Disposition"] == f'attachment; filename="multiplex-{shown["id"]}.{form}"'
        assert "Ubuntu is care." in file.text
    assert "<script" not in files["html"].text
    assert "<img" not in files["html"].text
    policy = files["html"].headers["Content-Security-Policy"]
    assert "sandbox" in policy
    assert "script-src" not in policy
    record = files["json"].json()
    found = record["answers"]["multiplex"]["measures"]["found"]
    references = shown["answers"]["multiplex"]["references"]
    assert [(each["perspective"], each["cue"], each["text"]) for each in references] == [
        (each["perspective"], each["cue"], each["text"]) for each in found
    ]
    assert shown["answers"]["multiplex"]["measures"]["shares"] == record["answers"]["multiplex"]["measures"]["shares"]
    told(house.page.request("GET", f"/page/answers/{shown['id']}/download.exe"), 404)


# --- a thread of questions


def test_a_question_that_follows_carries_what_each_strategy_saw(house: House) -> None:
    first = house.page.answered(strategies=["uniplex", "multiplex"])
    second = house.page.answered("And if they live abroad?", after=first["id"], strategies=["uniplex", "multiplex"])
    third = house.page.answered("And the poor?", after=second["id"], strategies=["contextual", "uniplex"])
    alone, *more = calls(house.backend, "alone")
    assert more == []
    text = asked(alone)
    assert f'<turn speaker="user">\n{QUESTION}' in text
    assert '<turn speaker="assistant">\nSeven voices answer' in text
    assert "<newest>\nAnd if they live abroad?\n</newest>" in text
    assert UNIPLEX[:30] not in text
    assert second["asked"] == ALONE
    assert all(ALONE in asked(body) for body in calls(house.backend, "african")[1:])
    contextual, uniplex = sorted(
        calls(house.backend, SIMPLY_ASKED)[-2:],
        key=lambda body: body["messages"][0]["role"],
    )
    said = [("user", QUESTION), ("assistant", UNIPLEX), ("user", "And if they live abroad?"), ("assistant", UNIPLEX),
            ("user", "And the poor?")]  # fmt: skip
    assert contextual["messages"][0]["role"] == "system"
    for body, at in ((uniplex, 0), (contextual, 1)):
        assert [(each["role"], each["content"]) for each in body["messages"][at:]] == said
    assert third["thread"] == [
        {"id": first["id"], "question": QUESTION}, {"id": second["id"], "question": "And if they live abroad?"},
    ]  # fmt: skip


def test_a_thread_waits_for_its_answer_and_is_not_begun_from_nowhere(house: House) -> None:
    with house.play.holding(VOICES):
        name = house.page.ask()
        told(house.page.post("/page/answers", question=QUESTION, after=name), 409, code="thread_busy")
        told(house.page.post("/page/estimate", question=QUESTION, after=name), 409, code="thread_busy")
    house.page.ended(name)
    for gone in ("no-such", "", "../x", "a\0b", "x" * 10_000):
        message = told(house.page.post("/page/answers", question=QUESTION, after=gone), 404, code="answer_not_found")
        assert "--memory" in message
    assert len(house.backend.requests) == 9


@pytest.mark.parametrize(
    "name",
    ["no-such", "%00", "a%00b", "%ff", "%ED%A0%80", "%F0%9F%98%80", "x" * 5_000, "..%2f..%2fetc", "%27%20or%201=1"],
)
def test_a_name_that_no_answer_has_is_not_found(house: House, tmp_path: Path, name: str) -> None:
    for path in ("", "/events", "/download.md"):
        told(house.page.request("GET", f"/page/answers/{name}{path}"), 404)
    told(house.page.post(f"/page/answers/{name}/cancel"), 404)


def test_names_that_no_database_can_hold_are_not_found_either(house: House, tmp_path: Path) -> None:
    with opened(house.backend, "--memory", str(tmp_path / "memory.sqlite")) as served:
        page = Page(served)
        for name in ("no-such", "%00", "%ff", "%ED%A0%80", "a.b"):
            told(page.request("GET", f"/page/answers/{name}"), 404)
        for after in ('"\\ud800"', '"a\\u0000b"', '""', '"a.b"'):
            body = f'{{"question": "Who?", "after": {after}}}'
            reply = page.request("POST", "/page/answers", content=body, headers={"Content-Type": "application/json"})
            told(reply, 404)
        assert bugs(served) == []
