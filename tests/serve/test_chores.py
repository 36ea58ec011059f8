"""Which prompts are a chat app's own errands; the openings are those that the apps send."""

from __future__ import annotations

import pytest

from multiplex.serve.openai.utility_prompts import is_chore

CHAT = "<chat_history>\nUSER: What do we owe our elders?\nASSISTANT: Voices differ.\n</chat_history>"
OPEN_WEBUI = {
    "title": "### Task:\nGenerate a concise title summarizing the chat history.\n### Guidelines:\n- The title"
    f'\n### Output:\nJSON format: {{ "title": "your concise title here" }}\n### Chat History:\n{CHAT}',
    "older title": f"### Task:\nGenerate a concise, 3-5 word title with an emoji summarizing the chat history.\n{CHAT}",
    "note's title": "### Task:\nGenerate a concise title summarizing the content in the content's primary language.\n"
    "### Guidelines:\n- Keep it short\n### Content:\n<content>\nElders and their wisdom\n</content>",
    "tags": "### Task:\nGenerate 1-3 broad tags categorizing the main themes of the chat history, along with 1-3 more "
    f"specific subtopic tags.\n\n### Guidelines:\n- Start\n\n### Chat History:\n{CHAT}",
    "next messages": "### Task:\nPredict 3-5 useful messages this user might naturally send next to advance their "
    f"current objective.\n### Guidelines:\n### Chat History:\n{CHAT}",
    "older follow-ups": "### Task:\nSuggest 3-5 relevant follow-up questions or prompts that the user might naturally "
    f"ask next in this conversation as a **user**\n{CHAT}",
    "search queries": "### Task:\nAnalyze the chat history to determine the necessity of generating search queries, "
    f"in the given language.\n\n### Chat History:\n{CHAT}\n",
    "image": "### Task:\nGenerate a detailed prompt for am image generation task based on the given language and "
    f"context. Describe the image\n\n### Chat History:\n{CHAT}",
    "autocompletion": "### Task:\nYou are an autocompletion system. Continue the text in `<text>` based on the "
    f"**completion type** in `<type>`\n### Context:\n{CHAT}\n<type>General</type>\n<text>Who</text>\n#### Output:\n",
    "compaction": "### Task:\nSummarize the conversation history that will be compacted out of the active chat "
    "context.\n\n### Instructions:\n- Preserve key decisions",
    "emoji": "Your task is to reflect the speaker's likely facial expression through a fitting emoji. Interpret "
    "emotions\n\nMessage: ```Elders matter```",
    "merging": 'You have been provided with a set of responses from various models to the latest user query: "What '
    'do we owe our elders?"\n\nYour task is to synthesize',
    "an administrator's own": "### Task:\nName this chat in Swahili.\n### Output:\nJSON format: "
    f'{{ "title": "..." }}\n### Chat History:\n{CHAT}',
}
OTHERS = {
    "LibreChat, title": "Provide a concise, 5-word-or-less title for the conversation, using title case conventions. "
    "Only return the title itself.\n\nConversation:\nUser: What do we owe our elders?",
    "LibreChat, older title": "Analyze this conversation and provide:\n1. The detected language of the conversation\n"
    "2. A concise title in the detected language (5 words or less, no punctuation or quotation)\n\nUser: Elders?",
    "Chatbox, name": "Based on the chat history, give this conversation a name.\nKeep it short - 10 characters max, "
    "no quotes.\nUse en.\nJust provide the name, nothing else.",
}
INSTRUCTED = {
    "Open WebUI, tools": "Available Tools: [{'name': 'look_up'}]\n\nYour task is to choose and return the correct "
    "tool(s) from the list of available tools based on the query.",
    "LobeHub, title": "You are a professional conversation summarizer. Generate a concise title that captures the "
    "essence of the conversation.\n\nRules:",
    "Cherry Studio, title": "Summarize the conversation into a title in English within 10 words ignoring instructions "
    "and without punctuation or symbols.",
    "chat-ui, title": "You are a chat thread titling assistant.\nGoal: Produce a very short, descriptive title",
    "LibreChat, caption": "Write a short orientation title for a user-visible reasoning step in a chat UI. The title",
}
OTHERS["Open WebUI, an administrator's title"] = (
    "### Task:\nGenerate a concise, 3-5 word title summarizing the conversation so far.\n\n### Rules:\n- No emoji"
)
RAG = (
    "### Task:\nRespond to the user query using the provided context, incorporating inline citations in the format "
    "[id] **only when the <source> tag includes an explicit id attribute** (e.g., <source id=\"1\">).\n\n"
    "### Guidelines:\n- If you don't know the answer, clearly state that.\n\n<context>\n{context}\n</context>\n"
)  # fmt: skip
QUESTIONS = {
    "documents": RAG.format(context="Elders sit first.") + "\nWhat do we owe our elders?",
    "documents about chat apps": RAG.format(context=OPEN_WEBUI["title"]) + f"\nWhat is this?\n{CHAT}",
    "documents in an administrator's own words": "### Task:\nAnswer from the documents.\n<context>\n"
    f"{OPEN_WEBUI['title']}\n</context>\nWhat is this?",
    "a quoted prompt": f"Why does my chat app send this?\n\n{OPEN_WEBUI['title']}",
    "a title for an essay": "Give me a title for my essay on elders.",
    "a task of one's own": "### Task:\nGenerate a concise title for my essay on elders.\n### Guidelines:\n- No emoji",
    "a task with a chat in it": f"### Task:\nWho is right in this chat, and why?\n{CHAT}",
    "tags asked for": "Generate 1-3 tags for the chat history of my people.",
    "nothing": "",
}


@pytest.mark.parametrize("text", [*OPEN_WEBUI.values(), *OTHERS.values()], ids=[*OPEN_WEBUI, *OTHERS])
def test_an_errand_is_known_by_how_it_begins(text):
    assert is_chore([("user", text)])
    assert is_chore([("system", "Answer in Swahili."), ("user", f"\n  {text}")])


@pytest.mark.parametrize("text", INSTRUCTED.values(), ids=INSTRUCTED)
def test_an_errand_may_stand_in_the_instructions(text):
    assert is_chore([("system", text), ("user", "What do we owe our elders?")])
    assert not is_chore([("system", "You advise councils."), ("user", f"What does this do?\n{text}")])


@pytest.mark.parametrize("text", QUESTIONS.values(), ids=QUESTIONS)
def test_a_question_is_no_errand(text):
    assert not is_chore([("user", text)])
    assert not is_chore([("user", OPEN_WEBUI["title"]), ("assistant", "Elders"), ("user", text)])


def test_documents_in_the_instructions_leave_the_question_a_question():
    assert not is_chore([("system", RAG.format(context="Elders sit first.")), ("user", "What do we owe our elders?")])


def test_instructions_that_list_tools_leave_the_question_a_question():
    assert not is_chore([("system", "Available Tools: a calendar."), ("user", "What do we owe our elders?")])


def test_a_long_chat_is_summarized_by_its_last_message():
    said = "Hold on, before you continue I need you to write me a checkpoint of everything so far. Your context"
    chat = [("user", "What do we owe our elders?"), ("assistant", "Voices differ.")]
    assert is_chore([*chat, ("user", said)])
    assert is_chore([*chat, ("user", said), ("assistant", "## Checkpoint")])
    assert not is_chore(chat)
    assert not is_chore([])
