"""The council for `langgraph dev` and LangGraph's own servers: `langgraph.json` names `graph`."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langgraph.graph.state import CompiledStateGraph


@cache
def graph() -> CompiledStateGraph[Any, Any, Any, Any]:
    """The default council, asked of the model that the settings name (MULTIPLEX_MODEL and the like).

    It is made once for the process, since its connections to the model serve every run.

    Raises:
        UsageError: a setting is wrong.
    """
    from multiplex.council.graph import build_graph

    return build_graph()
