"""The embedding model is real, quiet, and safe to share."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from multiplex.errors import ContentError, WeightsError
from multiplex.llm.embeddings import DIMENSIONS, FILES, ChangedEmbedder, Embedder, Remembering, check_files, find_model


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return Embedder()


def test_rows_are_unit_vectors_in_the_order_of_the_sentences(embedder: Embedder) -> None:
    sentences = ["A long sentence about the weather, the rain and the wind of the north.", "Bread.", "A dog barks."]
    rows = embedder.encode(sentences)
    assert rows.shape == (3, DIMENSIONS)
    assert rows.dtype == np.float32
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-5)
    assert embedder.encode(sentences[1:2])[0] == pytest.approx(rows[1], abs=1e-5)


def test_embeddings_are_those_of_sentence_transformers(embedder: Embedder) -> None:
    from sentence_transformers import SentenceTransformer

    texts = [
        "Bread.",
        "",
        "Ubuntu asks that kin share care; Élite naïveté 🙂!",
        "孝は百行の本",
        "الزكاة حق",
        "word " * 900,
    ]
    model = SentenceTransformer(str(find_model()), device="cpu", local_files_only=True)
    expected = model.encode(texts, normalize_embeddings=True, show_progress_bar=False)
    assert np.abs(embedder.encode(texts) - expected).max() < 1e-5


def test_near_in_meaning_is_near_in_space(embedder: Embedder) -> None:
    care, nurse, engine = embedder.encode(
        ["Children look after their old parents.", "Sons and daughters nurse the elderly.", "The engine needs oil."]
    )
    assert care @ nurse > care @ engine + 0.3


def test_low_rank_changes_of_a_layer_are_added_in_a_copy(embedder: Embedder, tmp_path: Path) -> None:
    name, texts = "encoder.layer.5.output.dense", ["Bread.", "A dog barks."]
    change = {f"{name}.up": np.ones((384, 1)), f"{name}.down": np.zeros((1, 1536)), f"{name}.bias": np.zeros(384)}
    plain = embedder.encode(texts)
    np.savez(tmp_path / "none.npz", **change)
    assert ChangedEmbedder(tmp_path / "none.npz").encode(texts) == pytest.approx(plain)
    change[f"{name}.bias"][0] = 3
    np.savez(tmp_path / "some.npz", **change)
    moved = ChangedEmbedder(tmp_path / "some.npz").encode(texts)
    assert (moved[:, 0] > plain[:, 0] + 0.1).all()
    assert np.linalg.norm(moved, axis=1) == pytest.approx(1, abs=1e-5)
    assert embedder.encode(texts) == pytest.approx(plain)


def test_a_file_of_changes_that_does_not_fit_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("no archive", "utf-8")
    np.savez(tmp_path / "other.npz", **{f"layer.9.{part}": np.zeros((1, 1)) for part in ("up", "down", "bias")})
    for name, told in (
        ("text", "no file of changes"),
        ("other", "the change of 'layer.9'"),
        ("absent", "No such file"),
    ):
        with pytest.raises(ContentError, match=told) as caught:
            ChangedEmbedder(tmp_path / f"{name}.npz").encode(["Bread."])
        assert str(caught.value).startswith(str(tmp_path / f"{name}.npz"))


def test_no_sentence_gives_no_row(embedder: Embedder) -> None:
    rows = embedder.encode([])
    assert rows.shape == (0, DIMENSIONS)
    assert rows.dtype == np.float32


def test_empty_endless_and_broken_texts_have_an_embedding(embedder: Embedder) -> None:
    rows = embedder.encode(["", "word " * 20_000, "half \ud83d"])
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-5)


def test_threads_share_one_fresh_instance() -> None:
    embedder = Embedder()
    texts = [[f"Sentence {k} of thread {thread}." for k in range(5)] for thread in range(6)]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(embedder.encode, texts))
    for rows, sentences in zip(together, texts, strict=True):
        assert rows == pytest.approx(embedder.encode(sentences), abs=1e-5)


def test_a_remembering_embedder_embeds_each_text_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    encode = Embedder.encode

    def counting(self: Embedder, sentences: Sequence[str]) -> object:
        asked.extend(sentences)
        return encode(self, sentences)

    monkeypatch.setattr(Embedder, "encode", counting)
    remembering = Remembering()
    rows = remembering.encode(["one", "two", "one"])
    again = remembering.encode(["two", "three"])
    assert asked == ["one", "two", "three"]
    assert (rows[0] == rows[2]).all()
    assert (again[0] == rows[1]).all()
    assert remembering.encode([]).shape == (0, 384)


def test_loading_prints_nothing_and_importing_loads_no_model_library() -> None:
    script = (
        "import logging, sys; logging.basicConfig(level=logging.INFO)\n"
        "import multiplex.llm.embeddings as e\n"
        "import multiplex.evaluation.sentiment, multiplex.evaluation.retention.perspective_classifier\n"
        "assert not {'torch', 'transformers', 'sentence_transformers', 'numpy'} & set(sys.modules)\n"
        "e.Embedder().encode(['quiet'])\n"
        "assert not {'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("tokenizer.json", b"[]", "another file"),
        ("model.safetensors", None, "cannot be read"),
    ],
)
def test_the_model_is_loaded_only_from_the_files_whose_hashes_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, change: bytes | None, told: str
) -> None:
    folder = tmp_path / "model"
    for file in FILES:  # the hub's repository, say, brings the same bytes
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(find_model() / file, folder / file)
    monkeypatch.setenv("MULTIPLEX_EMBEDDINGS", str(folder))
    assert find_model() == folder
    check_files(folder)
    (folder / name).unlink(missing_ok=True)
    if change is not None:
        (folder / name).write_bytes(change)
    with pytest.raises(WeightsError, match=told):
        check_files(folder)


def test_the_code_of_the_package_that_brings_the_model_is_not_run() -> None:
    script = "import sys, multiplex.llm.embeddings as e; e.check_files(e.find_model()); print(e.PACKAGE in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("False\n", "")
