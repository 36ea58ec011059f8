from __future__ import annotations

from pathlib import Path

import pytest

from multiplex.bench.plan.manifest import Manifest, differences, made, merged
from multiplex.bench.store.store import Store
from multiplex.council.personas import Council
from multiplex.llm.spec import ModelSpec, parse_spec

SECRET = "sk-secret"  # noqa: S105
HOSTED = parse_spec("hosted", f"https://user:{SECRET}@models.example/v1?key={SECRET}").model_copy(
    update={"api_key_env": "A_KEY_VARIABLE"}
)


def a_manifest(*specs: ModelSpec, seed: int = 7, council: Council | None = None) -> Manifest:
    council = council if council is not None else Council.load()
    return made(council, specs or (HOSTED,), seed, 1, "default", council.quorum, "worldviews-175")


def test_it_names_all_that_shapes_an_answer_and_no_key() -> None:
    manifest = a_manifest(HOSTED, parse_spec("local"))
    assert manifest.council == tuple(manifest.personas)
    assert len(manifest.personas) == 7
    assert {"essay", "check", "revise", "persona", "ask"} <= set(manifest.prompts)
    assert not [name for name in manifest.prompts if name.startswith(("judge", "rate"))]
    assert {"python", "multiplex", "langgraph", "langchain-openai", "openai"} <= set(manifest.versions)
    assert manifest.models["hosted"].place == "https://models.example/v1"
    assert manifest.models["local"].gguf == "sha256:cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046"
    assert SECRET not in manifest.model_dump_json()
    assert "A_KEY_VARIABLE" not in manifest.model_dump_json()


def test_another_file_in_place_of_the_embedded_model_is_named_and_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    old = a_manifest(parse_spec("local"))
    monkeypatch.setenv("MULTIPLEX_GGUF", "/models/mine.gguf")
    (said,) = differences(old, a_manifest(parse_spec("local")))
    assert said.startswith("model 'local': gguf was sha256:cc324af070")
    assert said.endswith("is /models/mine.gguf")


def test_a_later_time_another_version_and_further_models_are_no_difference() -> None:
    old = a_manifest().model_copy(update={"created": "2020-01-01T00:00:00+00:00", "versions": {"openai": "2.0"}})
    new = a_manifest(HOSTED.model_copy(update={"name": "other"}))
    new = new.model_copy(update={"prompts": new.prompts | {"a_new_prompt": "1" * 64}})
    assert differences(old, new) == []
    both = merged(old, new)
    assert (both.created, list(both.models)) == (old.created, ["hosted", "other"])
    assert both.versions["openai"] == f"2.0, {new.versions['openai']}"
    assert merged(both, new).versions == both.versions
    assert both.prompts["a_new_prompt"] == "1" * 64
    assert differences(both, old) == []


def test_every_difference_that_counts_is_named() -> None:
    old = a_manifest()
    for update, said in (
        ({"seed": 8}, "seed: was 7, is 8"),
        ({"rounds": 2}, "rounds: was 1, is 2"),
        ({"plan": "model"}, "plan: was default, is model"),
        ({"min_voices": 3}, "min-voices: was 5, is 3"),
        ({"questions": "mine"}, "questions: was worldviews-175, is mine"),
        ({"prompts": old.prompts | {"voice": "0" * 64}}, "prompt 'voice' has changed"),
        ({"personas": old.personas | {"african": "0" * 64}}, "persona 'african' has changed"),
    ):
        assert differences(old, old.model_copy(update=update)) == [said]
    smaller = a_manifest(council=Council.load("african", "western"))
    assert differences(old, smaller)[0].startswith("council: was western, islamic,")
    assert differences(old, smaller)[0].endswith("is african, western")


@pytest.mark.parametrize(
    ("update", "said"),
    [
        ({"temperature": None}, "model 'hosted': temperature was 0.7, is unset"),
        ({"base_url": "http://127.0.0.1:1/v1"}, "model 'hosted': place was https://models.example/v1, is http://127.0"),
        ({"synthesis": "composed"}, "model 'hosted': synthesis was written, is composed"),
        ({"voice_tokens": 170}, "model 'hosted': voice_tokens was unset, is 170"),
        ({"check": "text"}, "model 'hosted': check was model, is text"),
        ({"words": (300, 400)}, "model 'hosted': words was 700 to 950, is 300 to 400"),
    ],
)
def test_a_models_parameters_count_and_how_it_is_called_does_not(update: dict[str, object], said: str) -> None:
    changed = HOSTED.model_copy(update=update | {"timeout": 5.0, "retries": 0, "limit": 1, "api_key_env": "OTHER"})
    (line,) = differences(a_manifest(), a_manifest(changed))
    assert line.startswith(said)


def test_a_run_of_version_0_1_0_opens_and_its_other_form_is_told() -> None:
    stored = a_manifest().model_dump(mode="json")
    for name in ("check", "words"):
        del stored["models"]["hosted"][name]
    old = Manifest.model_validate(stored)
    assert differences(old, a_manifest()) == [
        "model 'hosted': the multiplex answer was a comparison under headings (version 0.1.0), is an essay"
    ]
    assert differences(old, old) == []


def test_the_store_gives_it_back(tmp_path: Path) -> None:
    manifest = a_manifest()
    with Store.open(tmp_path, create=True) as store:
        assert store.manifest is None
        store.write_manifest(a_manifest(seed=9))
        store.write_manifest(manifest)
    with Store.read(tmp_path) as store:
        assert store.manifest == manifest
