"""Capture: from the microphone to clean blocks, with echo cancellation, VAD and barge-in."""
