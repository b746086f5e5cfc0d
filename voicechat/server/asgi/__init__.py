"""HTTP endpoints beyond `voicechat serve`: a server for ASGI apps, bodies, refusals, rate limits.

Needs Starlette and uvicorn, so only the commands with such an endpoint import it.
"""
