"""The server half of the OpenAI Realtime wire, without I/O."""
