"""Chat apps: an OpenAI-compatible API, conversation memory, and MCP."""
