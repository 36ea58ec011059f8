from __future__ import annotations

from pathlib import Path

import pytest

from multiplex.errors import ContentError, UsageError
from multiplex.llm.spec import api_key, model_source, parse_spec, resolve_model, room_advice, unused_endpoints
from multiplex.llm.types import Call
from multiplex.settings import load_settings


def test_local_is_small() -> None:
    spec = parse_spec("local")
    assert (spec.local, spec.synthesis, spec.small) == (True, "composed", True)


def test_a_gguf_is_named_after_a_colon() -> None:
    assert parse_spec("local:/models/x.gguf").gguf == "/models/x.gguf"


def test_the_tokens_of_a_voice_are_those_of_the_embedded_models_plain_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve_model(load_settings(), "local:x.gguf").answer_tokens == 200
    monkeypatch.setenv("MULTIPLEX_VOICE_TOKENS", "1000")
    assert resolve_model(load_settings(), "local:x.gguf").answer_tokens == 1000
    assert resolve_model(load_settings(), "openai:m").answer_tokens is None


def test_advice_names_what_gives_this_call_more_room() -> None:
    hosted, local, voice = parse_spec("openai:m"), parse_spec("local"), ("multiplex:voice",)
    assert room_advice(local, Call(max_tokens=200)) == "raise MULTIPLEX_VOICE_TOKENS above 200"
    assert room_advice(hosted, Call(tags=voice)) == "raise MULTIPLEX_VOICE_TOKENS"
    assert room_advice(hosted, Call()) == "its endpoint set the limit; raise it there"
    assert "MULTIPLEX" not in room_advice(hosted, Call(max_tokens=50))


def test_openai_reads_its_own_key_and_has_no_address() -> None:
    spec = parse_spec("openai:some-name")
    assert (spec.model, spec.base_url, spec.api_key_env, spec.synthesis) == (
        "some-name",
        None,
        "OPENAI_API_KEY",
        "written",
    )


def test_a_name_with_a_colon_is_kept_whole_at_its_own_endpoint() -> None:
    assert parse_spec("qwen3:8b", "http://127.0.0.1:11434/v1").model == "qwen3:8b"


@pytest.mark.parametrize("url", ["127.0.0.1:11434", "ftp://x/v1", "http://", "http://h:99999/v1", ""])
def test_a_wrong_address_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="--base-url"):
        parse_spec("m", url)


def test_a_name_without_an_address_is_refused() -> None:
    with pytest.raises(UsageError, match="say where it runs"):
        parse_spec("some-model")


def test_a_password_in_an_address_is_not_shown() -> None:
    place = parse_spec("m", "http://user:secret@127.0.0.1:8000/v1?key=abc").place
    assert place == "http://127.0.0.1:8000/v1"


def test_a_flag_wins_over_the_environment_and_that_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "config.toml"
    file.write_text('model = "openai:from-file"\ntimeout = 7\n')
    monkeypatch.setenv("MULTIPLEX_CONFIG", str(file))
    assert resolve_model(load_settings()).model == "from-file"
    assert resolve_model(load_settings()).timeout == 7
    assert model_source(None) == "the configuration file"
    monkeypatch.setenv("MULTIPLEX_MODEL", "openai:from-environment")
    assert resolve_model(load_settings()).model == "from-environment"
    assert model_source(None) == "MULTIPLEX_MODEL"
    assert resolve_model(load_settings(model="local")).local


def test_without_any_name_the_embedded_model_is_used() -> None:
    assert resolve_model(load_settings()).name == "local"
    assert model_source(None) == "no other model is named"


def test_the_way_of_synthesis_can_be_overridden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MULTIPLEX_SYNTHESIS", "written")
    assert resolve_model(load_settings(model="local")).synthesis == "written"


def test_an_address_without_a_model_is_refused() -> None:
    with pytest.raises(UsageError, match="--base-url needs --model"):
        resolve_model(load_settings(base_url="http://127.0.0.1:1/v1"))


@pytest.mark.parametrize(("text", "said"), [("timeout = -1", "timeout"), ("modle = 'x'", "modle"), ("model =", "TOML")])
def test_a_wrong_file_is_named_with_its_field(
    text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "config.toml"
    file.write_text(text)
    monkeypatch.setenv("MULTIPLEX_CONFIG", str(file))
    with pytest.raises(UsageError, match=said) as caught:
        load_settings()
    assert str(file) in str(caught.value)


def test_a_named_file_that_is_absent_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MULTIPLEX_CONFIG", "/nowhere/config.toml")
    with pytest.raises(ContentError, match="no file is there"):
        load_settings()


def test_a_key_that_is_there_but_unused_is_pointed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-something-secret")
    lines = unused_endpoints()
    assert any("--model openai:NAME" in line for line in lines)
    assert not any("sk-something-secret" in line for line in lines)


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1:11434", "http://127.0.0.1:11434"),
        ("10.0.0.5", "http://10.0.0.5:11434"),
        ("https://gpu.example.org", "https://gpu.example.org:443"),
        ("0.0.0.0:11500", "http://127.0.0.1:11500"),
        (":11500", "http://127.0.0.1:11500"),
        ("[::1]:11500", "http://[::1]:11500"),
    ],
)
def test_an_ollama_is_pointed_out_where_it_is(monkeypatch: pytest.MonkeyPatch, host: str, address: str) -> None:
    monkeypatch.setenv("OLLAMA_HOST", host)
    assert unused_endpoints() == [f"Ollama is here: --model NAME --base-url {address}/v1 would use it"]


def test_a_key_is_read_late_and_kept_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = parse_spec("openai:x", api_key_env="MY_KEY")
    with pytest.raises(UsageError, match="set MY_KEY"):
        api_key(spec)
    monkeypatch.setenv("MY_KEY", "sk-hidden-hidden")
    key = api_key(spec)
    assert key is not None
    assert "sk-hidden" not in repr(key)
