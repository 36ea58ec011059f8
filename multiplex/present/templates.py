"""Fills in the HTML templates of the package: every value is escaped unless its maker has marked it as HTML."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multiplex.present.highlight import clean

if TYPE_CHECKING:
    from jinja2 import Environment


def render(template: Path, /, **values: Any) -> str:
    """The template with these values, without characters that a page cannot hold; a missing value is an error.

    A template may import `parts.html.jinja`, which lies beside this module.
    """
    return clean(_environment(template.parent).get_template(template.name).render(values))


@cache
def _environment(folder: Path) -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader([folder, Path(__file__).parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
