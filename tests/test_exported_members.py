from __future__ import annotations

import subprocess
import sys

import multiplex
from multiplex import MultiplexError, errors

HEAVY = {
    "torch",
    "transformers",
    "sentence_transformers",
    "langgraph",
    "langchain_core",
    "langchain_openai",
    "openai",
    "scipy",
    "numpy",
    "matplotlib",
    "plotly",
    "xllamacpp",
}


def test_every_public_name_is_there_and_the_list_is_sorted() -> None:
    assert multiplex.__all__ == sorted(multiplex.__all__)
    assert all(getattr(multiplex, name) is not None for name in multiplex.__all__)


def test_the_error_tree_is_drawn_whole() -> None:
    kinds = {MultiplexError}
    while new := {sub for kind in kinds for sub in kind.__subclasses__()} - kinds:
        kinds |= new
    public = {kind for kind in kinds if kind.__module__ == errors.__name__}
    assert all(kind.__name__ in (errors.__doc__ or "") for kind in public)
    assert all(f"exit {kind.exit_code}" in (errors.__doc__ or "") for kind in public)


def test_nothing_heavy_is_imported_before_a_command_needs_it() -> None:
    script = "import sys, multiplex; from multiplex.cli.main import app; print(','.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert not HEAVY & set(loaded.strip().split(","))
