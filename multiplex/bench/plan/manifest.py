"""What a run was made with, so that answers which cannot be compared never stand in one run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict

from multiplex.content import content_root, read_text, sha256
from multiplex.council.personas import Council
from multiplex.council.planning import PlanMode
from multiplex.errors import UsageError
from multiplex.llm.spec import ModelSpec
from multiplex.settings import Check, Synthesis

PACKAGES = (
    "multiplex-worldviews", "langgraph", "langchain-core", "langchain-openai", "openai", "xllamacpp",
    "sentence-transformers", "transformers", "torch", "numpy",
)  # fmt: skip


class Parameters(BaseModel):
    """What shapes a model's answers; as in its ModelSpec.

    Attributes:
        place: the endpoint without user, password or query.
        gguf: for a model that multiplex runs itself, its file or `sha256:HEX`; else None.
        check, words: None in a run of version 0.1.0, whose multiplex answer was no essay.
    """

    model_config = ConfigDict(frozen=True)
    model: str
    place: str
    gguf: str | None
    synthesis: Synthesis
    brief: bool = False  # of runs of version 0.1.0
    voice_tokens: int | None
    synthesis_tokens: int | None
    answer_tokens: int | None
    temperature: float | None
    check: Check | None = None
    words: tuple[int, int] | None = None


class Manifest(BaseModel):
    """What a run was made with. It holds no key, nor the name of one.

    Attributes:
        created: UTC, ISO 8601; information, nothing is ordered by it.
        versions: of `python` and of packages; where the run went on under another, all of them, joined by ", ".
        prompts: by name, the SHA-256 of each prompt that answers are made with.
        personas: by name, the digest of each persona of the council.
        council: their names, in order.
        min_voices: how many voices had to speak.
        questions: the name of the question set.
        models: by the name the user gave.
        order: of a shard, the ids of all units of the whole run in their order; else empty.
        survey: how a survey's closed questions are asked, by name; empty for a benchmark.
    """

    model_config = ConfigDict(frozen=True)
    created: str
    versions: dict[str, str]
    prompts: dict[str, str]
    personas: dict[str, str]
    council: tuple[str, ...]
    seed: int
    rounds: int
    plan: PlanMode
    min_voices: int
    questions: str
    models: dict[str, Parameters]
    order: tuple[str, ...] = ()
    survey: dict[str, str] = {}


def made(
    council: Council,
    specs: Sequence[ModelSpec],
    seed: int,
    rounds: int,
    plan: PlanMode,
    min_voices: int,
    questions: str,
    survey: Mapping[str, str] | None = None,
) -> Manifest:
    """The manifest of a run that starts now, with the content and the packages that are here.

    Raises:
        ContentError: a prompt cannot be read.
    """
    return Manifest(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=_versions(),
        prompts=_prompts(survey=bool(survey)),
        personas={persona.name: persona.digest for persona in council.personas},
        council=tuple(persona.name for persona in council.personas),
        seed=seed,
        rounds=rounds,
        plan=plan,
        min_voices=min_voices,
        questions=questions,
        models={spec.name: _parameters(spec) for spec in specs},
        survey=dict(survey or {}),
    )


def differences(old: Manifest, new: Manifest) -> list[str]:
    """Why answers made with `new` cannot stand beside those made with `old`, a line each; none where they can.

    A model, a prompt or a version that only one of them has is no difference.
    """
    lines = list(_settings(old, new))
    for what, before, after in (("prompt", old.prompts, new.prompts), ("persona", old.personas, new.personas)):
        lines += [f"{what} {name!r} has changed" for name in before if name in after and before[name] != after[name]]
    for name in old.models:
        if name in new.models:
            lines += _changed(f"model {name!r}: ", old.models[name], new.models[name])
    return lines


class Run(Protocol):
    """A run, such as a `Store`."""

    @property
    def manifest(self) -> Manifest | None: ...


def read_manifest(run: Run) -> tuple[Manifest | None, str]:
    """A run's manifest, for who only reports; where it is damaged, None and in one line why."""
    try:
        return run.manifest, ""
    except UsageError as error:
        return None, str(error)


def merged(old: Manifest, new: Manifest) -> Manifest:
    """The manifest of a run that `old` began and `new`, which differs in nothing that counts, continues."""
    versions = dict(old.versions)
    for name, version in new.versions.items():
        seen = versions[name].split(", ") if name in versions else []
        versions[name] = ", ".join(dict.fromkeys([*seen, version]))
    return old.model_copy(
        update={
            "versions": versions,
            "prompts": old.prompts | new.prompts,
            "models": old.models | new.models,
            "order": tuple(dict.fromkeys(old.order + new.order)),
        }
    )


def _settings(old: Manifest, new: Manifest) -> Iterator[str]:
    for name in ("questions", "council", "seed", "rounds", "plan", "min_voices"):
        before, after = (_shown(getattr(manifest, name)) for manifest in (old, new))
        if before != after:
            yield f"{name.replace('_', '-')}: was {before}, is {after}"
    for name in sorted({*old.survey, *new.survey}):
        before, after = (manifest.survey.get(name, "unset") for manifest in (old, new))
        if before != after:
            yield f"{name}: was {before}, is {after}"


def _changed(where: str, old: Parameters, new: Parameters) -> Iterator[str]:
    if old.check is None and new.check is not None and new.synthesis == "written":
        yield f"{where}the multiplex answer was a comparison under headings (version 0.1.0), is an essay"
        names = tuple(name for name in Parameters.model_fields if name not in ("check", "words"))
    else:
        names = tuple(Parameters.model_fields)
    for name in names:
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            yield f"{where}{name} was {_shown(before)}, is {_shown(after)}"


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return " to ".join(map(str, value)) if value and isinstance(value[0], int) else ", ".join(value)
    return "unset" if value is None else str(value)


def _parameters(spec: ModelSpec) -> Parameters:
    gguf = spec.gguf
    if spec.local and gguf is None:
        from multiplex.llm.local.weights import EMBEDDED, named_gguf

        gguf = named_gguf() or f"sha256:{EMBEDDED.sha256}"
    known = spec.model_dump(include=set(Parameters.model_fields) - {"gguf"})
    return Parameters(**known, place=spec.place, gguf=gguf)


def _prompts(*, survey: bool) -> dict[str, str]:
    """Those that answers are made with: a survey's or a benchmark's; the judge's and the rater's make none."""
    files = sorted((content_root() / "prompts").glob("*.md"))
    if survey:
        files = [file for file in files if file.stem.startswith(("survey", "persona"))]
    else:
        files = [file for file in files if not file.stem.startswith(("judge", "rate", "survey"))]
    return {file.stem: sha256(read_text(file)) for file in files}


def _versions() -> dict[str, str]:
    """Of what can shape an answer; a package that is not installed is left out."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package.removesuffix("-worldviews")] = version(package)
        except PackageNotFoundError:
            continue
    return found
