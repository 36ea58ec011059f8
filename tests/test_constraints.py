"""The files of pinned versions agree with each other and with the lower bounds of the package."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
_PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;]+)", re.MULTILINE)


def pins(name: str) -> dict[str, str]:
    return {canonicalize_name(package): version for package, version in _PIN.findall((ROOT / name).read_text("utf-8"))}


def test_every_hashed_version_is_that_of_the_constraints_and_has_a_hash() -> None:
    known, hashed = pins("constraints.txt"), pins("constraints-hashes.txt")
    assert {name: version for name, version in hashed.items() if known.get(name, version) != version} == {}
    blocks = re.split(r"\n(?=\S)", (ROOT / "constraints-hashes.txt").read_text("utf-8"))
    bare = [block for block in blocks if not block.startswith("#") and "--hash=sha256:" not in block]
    assert bare == []


def test_what_the_package_requires_is_pinned_within_its_bounds() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [Requirement(line) for line in (*project["dependencies"], *extras["serve"], *extras["parquet"])]
    known, hashed = pins("constraints.txt"), pins("constraints-hashes.txt")
    for each in wanted:
        name = canonicalize_name(each.name)
        assert each.specifier.contains(hashed[name]), each
        assert each.specifier.contains(known[name]), each
