"""OpenAI Realtime, and the parts that all servers with its wire share."""
