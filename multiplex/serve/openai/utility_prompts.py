"""Tells a chat app's own errands from its user's questions.

Chat apps ask the model they talk to for titles, tags, follow-up questions, search queries and the like. Each app
sends such a prompt as a fixed text, so it is known by how it begins: what stands later is the chat that it is about,
which may hold anything. The texts are those of Open WebUI 0.12, LibreChat (`@librechat/agents` 3.9), LobeHub, Chatbox,
Cherry Studio, NextChat and Hugging Face's chat-ui, and some that their older versions sent.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_REPLYING = frozenset({"assistant", "tool", "function"})
_INSTRUCTING = frozenset({"system", "developer"})
_LOOKED_AT = 1_000  # characters: every opening fits, however its lines are broken

_TASK = "### Task:"
_TASKS = (  # Open WebUI, after the line "### Task:"
    "Generate a concise title summarizing the chat history.",
    "Generate a concise title summarizing the content in the content's primary language.",
    "Generate a concise, 3-5 word title with an emoji summarizing the chat history.",
    "Generate a concise, 3-5 word title with an emoji summarizing the content in the content's primary language.",
    "Generate 1-3 broad tags categorizing the main themes of the chat history",
    "Predict 3-5 useful messages this user might naturally send next",
    "Suggest 3-5 relevant follow-up questions or prompts that the user might naturally ask next",
    "Analyze the chat history to determine the necessity of generating search queries",
    "Generate a detailed prompt for am image generation task based on the given language and context.",
    "You are an autocompletion system. Continue the text in `<text>`",
    "Summarize the conversation history that will be compacted out of the active chat context.",
)
_ANSWERING = "Respond to the user query using the provided context"  # a question, with documents: no errand
_REQUESTS = (
    # Open WebUI: an emoji for a voice call, several models' replies merged
    "Your task is to reflect the speaker's likely facial expression through a fitting emoji.",
    "You have been provided with a set of responses from various models to the latest user query:",
    # LibreChat: titles, then what is kept of a chat that grew too long
    "Provide a concise, 5-word-or-less title for the conversation, using title case conventions.",
    "Analyze this conversation and provide: 1. The detected language of the conversation 2. A concise title",
    "Hold on, before you continue I need you to write me a checkpoint of everything so far.",
    "Hold on again, update your checkpoint. Merge the new messages into your existing checkpoint",
    # Chatbox
    "Based on the chat history, give this conversation a name. Keep it short",
    # NextChat
    "Please generate a four to five word title summarizing our conversation without any lead-in",
    "Summarize the discussion briefly in 200 words or less to use as a prompt for future context.",
)
_INSTRUCTIONS = (
    # Open WebUI: keeping memories
    "You are Open WebUI's private memory reviewer.",
    # LibreChat: captions of what is folded away
    "Write a short orientation title for a user-visible reasoning step in a chat UI.",
    "Write a short label describing what this block of agent activity accomplished.",
    "Summarize what this phase of an agent run accomplished.",
    # LobeHub
    "You are a professional conversation summarizer. Generate a concise title",
    "You are a conversation summarizer. Your task is to create a concise summary of the conversation",
    "You are an autocomplete engine for a chat input box.",
    "You are a language expert proficient in all world languages. Identify the language of the user's input",
    "You are an assistant skilled at extracting conversation tags.",
    # Chatbox: whether to search, and for what
    "As a professional web researcher who can access latest data, your primary objective is",
    "As a professional knowledge base researcher, your primary objective is",
    "As a professional researcher with access to both knowledge base and web search, your primary objective is",
    # Cherry Studio
    "Summarize the conversation into a title in",
    "Summarize the given session as a 10-word title using",
    # Hugging Face chat-ui
    "You are a chat thread titling assistant.",
)
_TOOLS = "Available Tools: "  # Open WebUI: choosing tools; the list of them stands before what is asked
_CHOOSING = "Your task is to choose and return the correct tool(s) from the list of available tools"
_ABOUT_CHAT = re.compile(
    r"(?:generate|suggest|create|write|propose|analy[sz]e)\b[^.]{0,160}\b(?:titles?|tags?|follow-?ups?|quer(?:y|ies)|emojis?)"
    r"\b[^.]{0,160}\b(?:chat|conversation)\b",
    re.IGNORECASE,
)
_RETURNED = re.compile(r'\{\s*"(?:title|tags|follow_ups|queries|prompt|text)"\s*:')


def is_chore(messages: Sequence[tuple[str, str]]) -> bool:
    """Whether a chat app asks something for itself rather than its user a question.

    Args:
        messages: (role, text) in order, the roles as in OpenAI's API. The last message that is no reply is judged by
            how it begins, and so are the instructions; text further on, and earlier turns, decide nothing.
    """
    if any(role in _INSTRUCTING and _instructs(text) for role, text in messages):
        return True
    last = next((text for role, text in reversed(messages) if role not in _REPLYING), "")
    opening = _opening(last)
    if not opening.startswith(_TASK):
        return opening.startswith(_REQUESTS)
    task = opening.removeprefix(_TASK).lstrip()
    return task.startswith(_TASKS) or (not task.startswith(_ANSWERING) and _adapted(task, last))


def _opening(text: str) -> str:
    """How a text begins, on one line with single spaces."""
    return " ".join(text[: 2 * _LOOKED_AT].split())[:_LOOKED_AT]


def _instructs(text: str) -> bool:
    opening = _opening(text)
    return opening.startswith(_INSTRUCTIONS) or (opening.startswith(_TOOLS) and _CHOOSING in text)


def _adapted(task: str, text: str) -> bool:
    """Whether an administrator's own words are about the chat: a title of it, say, or JSON with the chat at the end."""
    framed = text.rstrip().endswith("</chat_history>") and _RETURNED.search(text) is not None
    return framed or _ABOUT_CHAT.match(task) is not None
