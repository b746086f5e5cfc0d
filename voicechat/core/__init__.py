"""The law of a conversation: pure, standard library only, time is a parameter."""
