"""Network connections: dialing, deadlines, liveness. Independent of any provider."""
