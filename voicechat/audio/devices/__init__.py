"""Audio devices: list, open, measure and watch them."""
