"""Find, open, measure and watch sound devices."""
