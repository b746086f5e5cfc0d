"""Sound formats, G.711, resampling, voice detection and endpointing, shared by all rooms."""
