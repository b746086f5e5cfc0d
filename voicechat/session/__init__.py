"""One conversation over any number of connections: joins core, provider, sound and tools."""
