"""Network connections: dialing, deadlines, liveness. Nothing here knows a provider."""
