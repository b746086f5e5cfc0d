"""Settings from the file, the environment and the flags, and remembered devices."""
