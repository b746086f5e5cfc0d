"""Vercel AI Gateway, and the normalized realtime model that it speaks."""
