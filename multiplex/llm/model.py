"""A model in whatever form a caller names it, as a Chat."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from multiplex.errors import UsageError
from multiplex.llm.chat import Chat
from multiplex.llm.spec import ModelSpec, resolve_model, with_settings
from multiplex.settings import load_settings

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

Model: TypeAlias = "str | ModelSpec | Chat | BaseChatModel | None"


def as_chat(model: Model) -> Chat:
    """A Chat for a model's name, its spec, a chat model of LangChain, or (None) the model that the settings name.

    Raises:
        UsageError: the name does not say where the model runs, a setting is wrong, or this is no model.
    """
    if isinstance(model, Chat):
        return model
    if model is None or isinstance(model, str | ModelSpec):
        return Chat(model if isinstance(model, ModelSpec) else resolve_model(load_settings(), model))
    from langchain_core.language_models import BaseChatModel

    if not isinstance(model, BaseChatModel):
        kind = type(model).__name__
        raise UsageError(f"model: a name, a ModelSpec, a Chat or a chat model of LangChain is wanted, not a {kind}")
    return Chat(_wrapping(model), client=model)


def _wrapping(model: BaseChatModel) -> ModelSpec:
    """The spec of a caller's own chat model, whose temperature and limits of tokens are set where it is made."""
    kind = type(model).__name__
    called = str(getattr(model, "model_name", None) or getattr(model, "model", None) or kind)
    spec = ModelSpec(name=called, model=called, wrapped=kind, temperature=None)
    return with_settings(spec, load_settings()).model_copy(update={"voice_tokens": None})
