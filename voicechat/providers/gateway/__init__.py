"""The Vercel AI Gateway: its wire, and its normalized events for any codec."""
