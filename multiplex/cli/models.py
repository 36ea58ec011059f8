"""`multiplex models`: which model would be used and why, and the embedded one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from multiplex.cli.options import BaseUrlFlag, KeyFlag, ModelFlag

if TYPE_CHECKING:
    from multiplex.llm.spec import ModelSpec


models_app = typer.Typer(
    invoke_without_command=True, rich_markup_mode=None, help="The models: which would be used, and the embedded one."
)


@models_app.callback()
def models(
    ctx: typer.Context, model: ModelFlag = None, base_url: BaseUrlFlag = None, api_key_env: KeyFlag = None
) -> None:
    """Say which model would be used and why, and where the embedded one is."""
    if ctx.invoked_subcommand is not None:
        return
    from multiplex.llm.local.weights import locate
    from multiplex.llm.local.weights import plan as plan_weights
    from multiplex.llm.spec import resolve_model
    from multiplex.settings import load_settings

    spec = resolve_model(load_settings(model=model, base_url=base_url, api_key_env=api_key_env))
    for line in explain_model(spec, model):
        typer.echo(line)
    here = locate()
    typer.echo(f"embedded model: {here}" if here else f"embedded model: not here; {plan_weights()}")


@models_app.command("pull")
def models_pull() -> None:
    """Fetch the embedded model (1.1 GB, once) and verify it."""
    from multiplex.llm.local.fetch_progress import ensure_weights

    typer.echo(f"{ensure_weights(None)} is there and whole")


@models_app.command("verify")
def models_verify() -> None:
    """Check the embedded model's size and SHA-256."""
    from multiplex.errors import WeightsError
    from multiplex.llm.local.weights import EMBEDDED, locate
    from multiplex.llm.local.weights import verify as verify_weights

    path = locate()
    if path is None:
        raise WeightsError("the embedded model is not here; `multiplex models pull` fetches it")
    verify_weights(path, EMBEDDED, afresh=True)
    typer.echo(f"{path} is {EMBEDDED.name}, whole (SHA-256 {EMBEDDED.sha256})")


@models_app.command("remove")
def models_remove() -> None:
    """Delete the embedded model and give its disk space back."""
    from multiplex.llm.local.weights import in_words
    from multiplex.llm.local.weights import remove as remove_weights

    typer.echo(f"{in_words(remove_weights())} given back")


def explain_model(spec: ModelSpec, flag: str | None) -> list[str]:
    """Which model is used and why, as lines for the terminal."""
    from multiplex.llm.spec import model_source, unused_endpoints

    source = model_source(flag)
    lines = [f"model: {spec.name}, at {spec.place} ({source})"]
    return lines + (unused_endpoints() if source == "no other model is named" else [])
