"""Serve voice conversations over a WebSocket: one session for each client.

python examples/websocket_bridge.py --port 9000 --model local

The server sends {"type": "ready", "input_rate": 24000, "output_rate": 24000} first. Then:
    client  binary frames with PCM16 mono at input_rate
            {"type": "text", "text": "..."}
            {"type": "played", "item_id": "...", "ms": 1200} every 100 ms while it plays
    server  {"type": "audio", "item_id": "..."}, then a binary frame with PCM16 at output_rate
            {"type": "transcript", "item_id": "...", "role": "...", "text": "...", "final": true}
            {"type": "stop", "item_id": "..."} and {"type": "turn_ended"}
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from functools import partial

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

import voicechat


async def from_client(client: ServerConnection, session: voicechat.ClientSession) -> None:
    """Pass on what the client sends, until it leaves."""
    async for frame in client:
        if isinstance(frame, bytes):
            await session.send(frame)
            continue
        match json.loads(frame):
            case {"type": "text", "text": str(text)}:
                await session.send(text)
            case {"type": "played", "item_id": str(item_id), "ms": int() | float() as ms}:
                session.played(item_id, ms)
    await session.close()


async def to_client(client: ServerConnection, session: voicechat.ClientSession) -> None:
    """Pass on what the model says, until the session ends."""
    async for event in session:
        message: dict[str, object]
        match event:
            case voicechat.Audio(item_id=item_id, pcm=pcm):
                await client.send(json.dumps({"type": "audio", "item_id": item_id}))
                await client.send(pcm)
                continue
            case voicechat.Transcript(item_id=item_id, role=role, text=text, final=final):
                message = {"type": "transcript", "item_id": item_id, "role": role, "text": text}
                message["final"] = final
            case voicechat.Interrupted(item_id=item_id):
                message = {"type": "stop", "item_id": item_id}
            case voicechat.TurnEnded():
                message = {"type": "turn_ended"}
            case _:
                continue
        await client.send(json.dumps(message))


def new_session(options: argparse.Namespace) -> voicechat.ClientSession:
    """Prepare a session. The client plays the sound, so only the client knows what was heard."""
    return voicechat.connect(
        options.model, base_url=options.base_url, tools=[], reports_played=True
    )


async def bridge(options: argparse.Namespace, client: ServerConnection) -> None:
    """Hold one conversation with one client."""
    try:
        async with new_session(options) as session:
            rates = {"input_rate": session.input_rate, "output_rate": session.output_rate}
            await client.send(json.dumps({"type": "ready", **rates}))
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(from_client(client, session))
                tasks.create_task(to_client(client, session))
    except* ConnectionClosed:
        pass
    except* (voicechat.VoicechatError, ValueError) as errors:
        print(errors.exceptions[0], file=sys.stderr)
        await client.close(1011, "See the output of the bridge.")


async def main(options: argparse.Namespace) -> None:
    """Serve on this machine until Ctrl-C."""
    new_session(options)  # fails now if the key is missing, not when a client connects
    async with serve(partial(bridge, options), "127.0.0.1", options.port) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        print(f"ws://127.0.0.1:{port}", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=9000, help="0 picks a free one")
    parser.add_argument("--model", help="PROVIDER/MODEL; the default depends on your keys")
    parser.add_argument("--base-url", help="another address of the provider's API")
    try:
        asyncio.run(main(parser.parse_args()))
    except KeyboardInterrupt:
        parser.exit(130)
    except voicechat.VoicechatError as error:
        parser.exit(error.exit_code, f"{error}\n")
    except OSError as error:
        parser.exit(1, f"{error}\n")
