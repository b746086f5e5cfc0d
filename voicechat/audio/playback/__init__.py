"""Playback: from queued audio of a response to the speaker, and the playout position."""
