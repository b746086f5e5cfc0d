"""Waves against `voicechat serve`: hostile clients, while an honest one asks and waits."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random

import wire_examples
from attack_log import AttackLog, Victim
from hostile_wire import TEXTS
from mutation import mutate
from scripted import TOKEN
from victim_environment import victim_environment
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

Attack = Callable[[str, Random], Awaitable[None]]
HONEST_P95_MS = 3_000.0
"""Limit of the wait of an honest client in the busy process of the attack; see `make bench`."""

_BEARER = {"Authorization": f"Bearer {TOKEN}"}
_ASK = {
    "type": "response.create",
    "response": {"conversation": "none", "output_modalities": ["text"], "input": []},
}


def _opened(url: str) -> connect:
    return connect(
        url, additional_headers=_BEARER, proxy=None, ping_interval=None, max_size=None,
        close_timeout=0.2, compression=None,
    )  # fmt: skip


async def _drain(socket: ClientConnection) -> None:
    with suppress(WebSocketException, ConnectionError):
        async for _ in socket:
            pass


async def _frames(url: str, frames: list[str | bytes], *, read: bool = True) -> None:
    # The library aborts a transport that is closed already, which asyncio does not allow.
    with suppress(WebSocketException, OSError, TimeoutError, AttributeError):
        async with _opened(url) as socket:
            reading = asyncio.create_task(_drain(socket)) if read else None
            try:
                async with asyncio.timeout(3):
                    for frame in frames:
                        await socket.send(frame)
            finally:
                if reading:
                    reading.cancel()


async def _broken_events(url: str, choose: Random) -> None:
    examples = wire_examples.frames("openai_ga_client")
    frames = [mutate(choose, choose.choice(examples), choose.choice(examples)) for _ in range(500)]
    texts: list[str | bytes] = [f if isinstance(f, str) else f.decode("latin-1") for f in frames]
    await asyncio.gather(*(_frames(url, texts) for _ in range(3)))


async def _costly_events(url: str, choose: Random) -> None:
    text = choose.choice(TEXTS)
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
    tool = {"type": "function", "name": "x", "parameters": {"type": "object", "a": "b" * 100_000}}
    session = {"type": "realtime", "instructions": text, "tools": [tool] * 100}
    frames: list[str | bytes] = [
        json.dumps({"type": "session.update", "session": session}),
        json.dumps({"type": "conversation.item.create", "item": item}),
        json.dumps({"type": "response.create"}),
        "[" * 2_000_000,
        json.dumps({"type": "session.update", "session": {"type": "realtime", "a": text * 20}}),
        '{"type": "input_audio_buffer.append", "audio": "' + "A" * 4_000_000 + '"}',
        '{"type": "input_audio_buffer.append", "audio": "' + "!" * 4_000_000 + '"}',
        json.dumps({"type": "conversation.item.create", "item": {**item, "content": [{}] * 9_999}}),
        '{"type": "response.create", "response": {"input": [' + "{}," * 200_000 + "{}]}}",
        b"\x00" * 3_000_000,
        '{"type": "x",' + "".join(f'"{n}":1,' for n in range(1_200_000)) + '"z": 1}',
        '{"type": "session.update", "session": {"a": [' + "{}," * 5_000_000 + "1]}}",
        '{"type": "session.update", "session": {"instructions": "' + "\\u001b" * 2_500_000 + '"}}',
    ]
    choose.shuffle(frames)
    await _frames(url, frames)


async def _endless_items(url: str, choose: Random) -> None:
    text = choose.choice(("word ", "x", "\u0430")) * 100_000
    kind = choose.choice(("message", "function_call_output"))
    frames: list[str | bytes] = []
    for number in range(600):
        item: dict[str, object] = {"type": kind, "id": f"i{number}"}
        if kind == "message":
            item |= {"role": "user", "content": [{"type": "input_text", "text": text}]}
        else:
            item |= {"call_id": f"c{number}", "output": text}
        frames.append(json.dumps({"type": "conversation.item.create", "item": item}))
    await asyncio.gather(*(_frames(url, frames) for _ in range(3)))


async def _large_frames(url: str, choose: Random) -> None:
    """Send small events until the client has to wait, and then large ones, which wait with it."""
    small: list[str | bytes] = ['{"type": "x"}'] * 400
    large = '{"type": "x", "a": "' + "A" * 15_000_000 + '"}'
    await _frames(url, [*small, *[large] * 20, *small], read=choose.random() < 0.5)


async def _too_large(url: str, choose: Random) -> None:
    await _frames(url, ["x" * 40_000_000])


async def _no_reading(url: str, choose: Random) -> None:
    frames: list[str | bytes] = [json.dumps({"type": "response.create"})] * 300
    await _frames(url, frames, read=False)


async def _rapid_connects(url: str, choose: Random) -> None:
    async def leave() -> None:
        for _ in range(10):
            with suppress(OSError, WebSocketException, TimeoutError):
                async with _opened(url):
                    pass

    await asyncio.gather(*(leave() for _ in range(15)))


async def _raw(url: str, content: bytes, *, wait_s: float = 1.0, slow: bool = False) -> None:
    """Send bytes, at once or byte by byte, and read what comes back."""
    host, port = url.split("/")[2].split(":")
    with suppress(OSError, TimeoutError):
        reader, writer = await asyncio.open_connection(host, port)
        try:
            async with asyncio.timeout(wait_s):
                for at in range(0, len(content), 1 if slow else 65_536):
                    writer.write(content[at : at + (1 if slow else 65_536)])
                    await writer.drain()
                    await asyncio.sleep(0.02 if slow else 0)
                while await reader.read(65_536):
                    pass
        finally:
            writer.transport.abort()


def _request(url: str, line: str, *fields: str, body: bytes = b"") -> bytes:
    host = url.split("/")[2]
    bearer = f"Authorization: Bearer {TOKEN}"
    return "\r\n".join((line, f"Host: {host}", bearer, *fields, "", "")).encode() + body


async def _http_requests(url: str, choose: Random) -> None:
    secrets = "POST /v1/realtime/client_secrets HTTP/1.1"
    kind = "Content-Type: application/json"
    upgrade = (
        "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    )  # fmt: skip
    gzip = "Content-Encoding: gzip"
    requests = [
        _request(url, secrets, kind, "Content-Length: 0"),
        _request(url, secrets, kind, "Content-Length: 500000", body=b"[" * 500_000),
        _request(url, secrets, kind, "Content-Length: 99999999999"),
        _request(url, secrets, kind, "Content-Length: -1"),
        _request(url, secrets, kind, gzip, "Content-Length: 9", body=b"\x1f\x8b" + b"x" * 7),
        _request(url, secrets, kind, "Transfer-Encoding: chunked", body=b"5\r\nab"),
        _request(url, "GET /v1/realtime HTTP/1.1", *upgrade, body=b"\x81\x05hello"),
        _request(url, "GET /v1/realtime HTTP/1.1", *upgrade, body=choose.randbytes(5_000)),
        _request(url, "GET " + "/x" * 50_000 + " HTTP/1.1"),
        _request(url, "GET / HTTP/9.9"),
        _request(url, "GET http://[::1 HTTP/1.1"),
        _request(url, "DELETE /v1/models HTTP/1.1", *(f"X-{n}: y" for n in range(3_000))),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + choose.randbytes(500),
        choose.randbytes(choose.choice((1, 300, 200_000))),
        b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * 3_000_000,
        b"\r\n" * 100_000,
    ]
    await asyncio.gather(*(_raw(url, choose.choice(requests)) for _ in range(20)))


async def _slow_requests(url: str, choose: Random) -> None:
    content = _request(url, "GET /v1/realtime HTTP/1.1", "X-Slow: " + "x" * 500)
    await asyncio.gather(*(_raw(url, content, slow=True) for _ in range(100)))


async def _minted_tokens(url: str, choose: Random) -> None:
    content = _request(url, "POST /v1/realtime/client_secrets HTTP/1.1", "Content-Length: 0")
    await asyncio.gather(*(_raw(url, content) for _ in range(150)))


ATTACKS: dict[str, Attack] = {
    "broken events": _broken_events,
    "costly events": _costly_events,
    "endless items": _endless_items,
    "large frames": _large_frames,
    "too large a frame": _too_large,
    "a client that does not read": _no_reading,
    "rapid connects": _rapid_connects,
    "HTTP requests": _http_requests,
    "slow requests": _slow_requests,
    "minted tokens": _minted_tokens,
}


async def attack_server(log: AttackLog, choose: Random, most: int) -> None:
    """Attack one server in at most so many ways."""
    names = list(ATTACKS)
    choose.shuffle(names)
    with Victim("serve", victim_environment(log)) as victim:
        url = (await asyncio.to_thread(victim.line)).strip()
        await _honest(url, asyncio.create_task(asyncio.sleep(0)))
        for name in names[:most]:
            if log.is_over:
                return
            victim.tell(begin=name)
            attack = asyncio.create_task(ATTACKS[name](url, choose))
            waits = await _honest(url, attack)
            await attack
            waits += await _honest(url, attack)
            victim.tell(end=name)
            log.measured("serve", name, await asyncio.to_thread(victim.figures))
            p95 = sorted(waits)[int(len(waits) * 0.95)]
            if p95 > HONEST_P95_MS:
                log.fault(f"serve, {name}: an honest client waited {p95:.0f} ms (p95)")


async def _honest(url: str, attack: asyncio.Task[None]) -> list[float]:
    """Ask until the attack ends, at least once; return each wait in ms."""
    waits: list[float] = []
    while not waits or not attack.done():
        began = time.monotonic()
        try:
            async with asyncio.timeout(20), _opened(url) as socket:
                while not waits or not attack.done():
                    began = time.monotonic()
                    await socket.send(json.dumps(_ASK))
                    while json.loads(await socket.recv())["type"] != "response.done":
                        continue
                    waits.append((time.monotonic() - began) * 1000)
                    await asyncio.sleep(0.02)
        except WebSocketException:
            # The attack may hold every connection for a moment.
            await asyncio.sleep(0.2)
            waits += [(time.monotonic() - began) * 1000] if attack.done() else []
    return waits
