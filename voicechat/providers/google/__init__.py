"""Gemini Live: turns without ids, turned into responses and items."""
