"""Text-to-speech engines behind `engine_protocols.TextToSpeech`."""
