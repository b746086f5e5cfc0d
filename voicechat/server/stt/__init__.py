"""Speech-to-text engines behind `engine_protocols.SpeechToText`."""
