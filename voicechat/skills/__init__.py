"""Arithmetic, units, timers, lists and notes, for built-in tools and the offline assistant."""
