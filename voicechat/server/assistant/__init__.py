"""The offline assistant, and the client of a chat endpoint that replaces it."""
