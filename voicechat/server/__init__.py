"""The embedded server: the OpenAI Realtime wire on loopback, with local speech engines."""
