"""The embedded voice: a server of the OpenAI Realtime wire on loopback."""
