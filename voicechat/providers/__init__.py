"""Wire formats of the speech providers, each turned into the core vocabulary and back."""
