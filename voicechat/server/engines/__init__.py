"""Ears, mind and voice behind small protocols."""
