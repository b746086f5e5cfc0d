"""Microphone and speaker, in a process of their own."""
