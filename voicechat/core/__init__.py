"""The conversation as a pure state machine: standard library only, no I/O, time is a parameter."""
