"""Speech recognition engines behind `engine_protocols.Ears`."""
