"""A reply as LangChain sees it: a chat model whose callbacks are told each piece that may be shown."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from pydantic import ConfigDict, Field

from multiplex.llm.reading import ReplyReader


class ObservedModel(BaseChatModel):
    """One request under way, as a chat model that can be streamed once."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    model: str
    pieces: Any = Field(exclude=True, repr=False)
    reader: ReplyReader = Field(exclude=True, repr=False)

    @property
    def _llm_type(self) -> str:
        return "openai-chat"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self.model}

    async def _astream(
        self,
        messages: list[BaseMessage],  # noqa: ARG002
        stop: list[str] | None = None,  # noqa: ARG002
        run_manager: AsyncCallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **_: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        async for shown in self.pieces:
            yield ChatGenerationChunk(message=AIMessageChunk(content=shown))
        said = self.reader.finished()
        given, made = said.usage.input_tokens, said.usage.output_tokens
        usage = None
        if given is not None and made is not None:
            usage = UsageMetadata(input_tokens=given, output_tokens=made, total_tokens=given + made)
        about = {"finish_reason": said.finish, "model_name": self.model}
        yield ChatGenerationChunk(message=AIMessageChunk(content="", usage_metadata=usage, response_metadata=about))

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        raise NotImplementedError("a reply is streamed")
