"""The history: every conversation in one SQLite file of the user, as it happens.

Search, export and usage read it. It holds text, never sound, and no keys.
"""
