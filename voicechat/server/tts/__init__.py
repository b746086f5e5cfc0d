"""Speech synthesis engines behind `engine_protocols.Voice`."""
