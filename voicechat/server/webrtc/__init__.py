"""Calls over WebRTC: the offer, the connection, the sound of both sides, and the HTTP endpoint."""
