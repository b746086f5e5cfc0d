"""From a queued reply to the speaker, and back to what was heard."""
