"""Audio formats, G.711, resampling, voice activity detection and endpointing."""
