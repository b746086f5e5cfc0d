"""The conversation as plain lines: pipes, screen readers, dumb terminals."""
