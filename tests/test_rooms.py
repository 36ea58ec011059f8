"""The rooms of the package: imports run one way, and in no circle."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import multiplex

PACKAGE = Path(multiplex.__file__).parent
ORDER = ("cli", "serve", "survey", "bench", "present", "answering", ("council", "evaluation"), "llm",
         ("content", "settings"), ("text", "errors"))  # fmt: skip
RANK = {name: rank for rank, names in enumerate(ORDER) for name in ([names] if isinstance(names, str) else names)}
BENCH = {
    "plan": 0,
    "store": 1,
    "execute": 2,
    "ratings": 2,
    "analysis": 3,
    "report": 4,
}  # imports what has a lower number


def imports() -> dict[str, set[str]]:
    """By module, the modules of the package that it imports, for type checking too."""
    modules = {name_of(path): path for path in PACKAGE.rglob("*.py")}
    found: dict[str, set[str]] = {name: set() for name in modules}
    for name, path in modules.items():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "multiplex":
                for alias in node.names:
                    whole = f"{node.module}.{alias.name}"
                    found[name].add(whole if whole in modules else str(node.module))
    return found


def name_of(path: Path) -> str:
    return ".".join(("multiplex", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def test_no_arrow_runs_back() -> None:
    back = [
        f"{name} imports {other}"
        for name, others in imports().items()
        for other in others
        if room_of(name) and room_of(other) != room_of(name) and RANK.get(room_of(other), -1) <= RANK[room_of(name)]
    ]
    assert back == []


def test_within_the_bench_no_arrow_runs_back() -> None:
    inner = {name: name.split(".")[2] for name in imports() if name.startswith("multiplex.bench.")}
    back = [
        f"{name} imports {other}"
        for name, others in imports().items()
        for other in others
        if inner.get(name) in BENCH and inner.get(other) in BENCH and inner[name] != inner[other]
        and BENCH[inner[other]] >= BENCH[inner[name]]
    ]  # fmt: skip
    assert back == []


def test_there_is_no_circle() -> None:
    found = imports()
    try:
        TopologicalSorter(found).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_every_module_stands_in_a_room() -> None:
    assert {room_of(name) for name in imports()} - {""} == set(RANK)


def test_no_module_is_longer_than_a_reader_holds() -> None:
    lengths = {name_of(path): path.read_text("utf-8").count("\n") for path in PACKAGE.rglob("*.py")}
    assert {name: lines for name, lines in lengths.items() if lines > 400} == {}


def public_classes() -> dict[str, list[str]]:
    """By name of a public class, the modules that define one."""
    found: dict[str, list[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found.setdefault(node.name, []).append(name_of(path))
    return found


def test_a_public_class_has_a_name_of_its_own() -> None:
    assert {name: modules for name, modules in public_classes().items() if len(modules) > 1} == {}


FORMER = {
    "effective", "dominance", "mean0", "pooled", "copied", "nulls", "kept", "voices_told", "parts_told", "arms",
    "Arm", "sheets", "Sheets", "shuffled", "Shuffled", "Kept", "likeness", "nearness", "unseen", "crossed", "cooled",
}  # fmt: skip
ALIASES = {"multiplex.serve.mcp.schemas: effective", "multiplex.serve.mcp.schemas: dominance"}
"""Fields that stand beside their successors for one version; others are written by `evaluation.renamed`."""


def test_no_public_identifier_has_a_former_name_but_the_documented_aliases() -> None:
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [node.name] if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) else []
            if isinstance(node, ast.ClassDef):
                fields = [each.target for each in node.body if isinstance(each, ast.AnnAssign)]
                names += [target.id for target in fields if isinstance(target, ast.Name)]
            found |= {f"{name_of(path)}: {name}" for name in names if name in FORMER}
    assert found - {"multiplex.council.state: Kept"} == ALIASES  # a kind of graph channel, not a measure
