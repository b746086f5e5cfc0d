"""From the microphone to clean blocks: echo cancellation, voice detection, barge-in."""
