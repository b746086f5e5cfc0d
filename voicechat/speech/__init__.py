"""Audio formats, PCM levels and rates, G.711, voice activity detection and endpointing."""
