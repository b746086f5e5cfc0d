"""The operating system: child processes, private files, deadlines for calls, the terminal."""
