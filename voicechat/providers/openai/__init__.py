"""OpenAI Realtime, and what the other servers with its wire share."""
