"""One conversation over any number of connections: joins core, providers, audio and tools."""
