"""Chores that the built-in tools and the built-in mind share: sums, units, timers, lists."""
