"""OpenAI Realtime and the endpoints that speak the same wire."""
