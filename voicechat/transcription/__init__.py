"""Files, pipes and the microphone to text."""
