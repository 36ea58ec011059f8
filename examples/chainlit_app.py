"""A Chainlit chat in front of `multiplex serve`: every voice is a step, then comes the answer.

    pip install chainlit openai && chainlit run examples/chainlit_app.py --port 8001

OPENAI_BASE_URL and OPENAI_API_KEY say where the server is and what it asks for.
"""

import os
import re

import chainlit as cl
from openai import APIError, AsyncOpenAI

URL, KEY = os.environ.get("OPENAI_BASE_URL", "http://127.0.0.1:8000/v1"), os.environ.get("OPENAI_API_KEY", "none")
client = AsyncOpenAI(base_url=URL, api_key=KEY)
VOICE = re.compile(r"^\*\*(.+?)\*\* \(\d+ s\)[:\s]*", re.MULTILINE)  # how the server heads a voice


@cl.on_message
async def on_message(_: cl.Message) -> None:
    messages, answer = cl.chat_context.to_openai(), cl.Message("")
    try:
        async for chunk in await client.chat.completions.create(model="multiplex", messages=messages, stream=True):
            delta = chunk.choices[0].delta if chunk.choices else None
            await show(getattr(delta, "reasoning_content", None) or "")
            if delta is not None and delta.content:
                await answer.stream_token(delta.content)
    except APIError as error:
        await cl.ErrorMessage(error.message).send()
    if answer.content:
        await answer.send()


async def show(thought: str) -> None:
    about, *voices = VOICE.split(thought)  # `about`: who is asked, and what the voices are
    named = [(f"the {title} voice", text) for title, text in zip(voices[::2], voices[1::2], strict=True)]
    for name, text in [("a council", about), *named]:
        if text.strip():
            async with cl.Step(name=name, type="tool", default_open=text is about) as step:
                step.output = text.strip()
