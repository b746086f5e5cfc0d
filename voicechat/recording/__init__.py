"""Write a session to a folder, and replay it."""
