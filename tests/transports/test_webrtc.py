"""Dialing over WebRTC: refused and unusable answers, missing paths, limits of the data channel."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from fake_calls import FakeCalls, fake_calls, tone

from voicechat.errors import KeyMissing, Secret, UsageError, VoicechatError
from voicechat.providers.rest import bearer
from voicechat.speech.pcm import rms
from voicechat.system.dial_target import CallOffer, DialTarget
from voicechat.transports import dialing, sdp_exchange, webrtc
from voicechat.transports.connection_errors import TOO_LARGE, ConnectionLost, DialFailed
from voicechat.transports.sdp_exchange import MAX_BYTES, MAX_CANDIDATES, problem_of
from voicechat.transports.webrtc import QUEUED_FRAMES, CallConnection

KEY = "planted-key-of-32-characters-long"
GOOD = (
    "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 96\r\na=fingerprint:sha-256 AA\r\n"
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n"
)


def target(calls: FakeCalls) -> DialTarget:
    call = CallOffer(f"{calls.url}/realtime/calls", "oai-events", '{"model": "m"}')
    return DialTarget(f"{calls.url}/realtime", bearer(Secret(KEY)), call=call)


async def refused(calls: FakeCalls, status: int, body: bytes) -> VoicechatError:
    calls.refuse = status, body
    with pytest.raises(VoicechatError) as found:
        await dialing.dial(target(calls), deadline=8)
    assert KEY not in f"{found.value} {found.value.__cause__} {found.value.__context__}"
    return found.value


@pytest.mark.parametrize(
    ("status", "body", "kind", "said", "retry"),
    [
        (401, b'{"error": {"message": "Bad ' + KEY.encode() + b'"}}', KeyMissing, "***", None),
        (503, b"", DialFailed, "is unavailable (HTTP 503)", True),
        (404, b"", DialFailed, "has no such realtime endpoint", False),
        (302, b"", DialFailed, "the key was not sent", False),
        (201, b"", DialFailed, "no session description", False),
        (201, b"\xff\xfe", DialFailed, "is no text", False),
        (201, b"v=0\r\n", DialFailed, "has no sound", False),
        (201, b"v=0\r\n" + b"a=x\r\n" * MAX_BYTES, DialFailed, "more than 65,536 bytes", False),
        (201, GOOD.encode(), DialFailed, "unusable session description", False),
    ],
    ids=["key", "busy", "missing", "moved", "empty", "bytes", "mute", "large", "unusable"],
)
async def test_an_answer_that_opens_no_call(status, body, kind, said, retry):
    async with fake_calls() as calls:
        error = await refused(calls, status, body)
    assert isinstance(error, kind)
    assert said in error.message
    assert getattr(error, "retry", None) is retry


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b'{"transport": {}}', b'{"transport": {"sdp": 5}}', b"[" * 60_000, b"\xff"],
    ids=["empty", "list", "no sdp", "number", "deep", "bytes"],
)
async def test_an_answer_in_json_that_has_no_description(body):
    async with fake_calls() as calls:
        calls.refuse = 201, body
        call = CallOffer(f"{calls.url}/live/sessions", "oai-events", "{}", is_json=True)
        where = DialTarget(f"{calls.url}/live/sessions", bearer(Secret(KEY)), call=call)
        with pytest.raises(DialFailed, match="has no session description"):
            await dialing.dial(where, deadline=8)
        assert calls.seen[0].headers["accept"] == "application/json"


@pytest.mark.parametrize(
    ("sdp", "problem"),
    [
        (GOOD, ""),
        (GOOD.replace("m=audio 9", "m=audio 0"), "has no sound"),
        (GOOD.replace("m=application 9", "m=application 0"), "has no data channel"),
        (GOOD.replace("a=fingerprint:sha-256 AA\r\n", ""), "names no certificate"),
        (GOOD + "a=candidate:1\r\n" * (MAX_CANDIDATES + 1), "candidates"),
        (GOOD + "a=x\r\n" * 2_000, "1,000 lines"),
        ("m=audio \r\nm=application", "no session description"),
    ],
    ids=["good", "sound", "channel", "fingerprint", "candidates", "lines", "version"],
)
def test_answers_are_checked_before_the_library_reads_them(sdp, problem):
    assert problem in problem_of(sdp)
    assert bool(problem) is bool(problem_of(sdp))


async def test_no_server():
    nothing = FakeCalls()
    nothing.port = 9
    with pytest.raises(DialFailed, match=r"No server answers at 127\.0\.0\.1 port 9"):
        await dialing.dial(target(nothing), deadline=8)


async def test_a_server_that_answers_nothing(monkeypatch):
    async def hang(*_):
        await asyncio.sleep(60)

    monkeypatch.setattr(webrtc, "exchange", hang)
    with pytest.raises(DialFailed, match="did not answer within"):
        await dialing.dial(target(FakeCalls()), deadline=0.2)


@pytest.mark.parametrize("names_addresses", [True, False])
async def test_a_network_without_a_path_names_the_other_transport(monkeypatch, names_addresses):
    async with fake_calls() as calls:
        real = sdp_exchange.exchange

        async def unreachable(*given):
            answer = await real(*given)
            await calls._peers[-1].close()
            kept = [
                line
                for line in answer.sdp.splitlines()
                if names_addresses or not line.startswith("a=candidate:")
            ]
            return replace(answer, sdp="\r\n".join(kept) + "\r\n")

        monkeypatch.setattr(webrtc, "exchange", unreachable)
        with pytest.raises(DialFailed) as found:
            await dialing.dial(target(calls), deadline=4)
    assert found.value.message == "No network path to 127.0.0.1 was found."
    assert "--transport websocket" in found.value.hint
    assert found.value.retry


async def test_without_the_extra_one_sentence_names_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'voicechat\[webrtc\]'"):
        await dialing.dial(target(FakeCalls()))


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[FakeCalls, CallConnection]]:
    async with fake_calls() as calls:
        calls.fake.wants_key = False
        connection = await dialing.dial(target(calls))
        assert isinstance(connection, CallConnection)
        try:
            yield calls, connection
        finally:
            await connection.close()


async def event(connection: CallConnection, start: str) -> str:
    """Return the next event that begins like this."""
    async with asyncio.timeout(10):
        async for frame in connection:
            if isinstance(frame, str) and frame.startswith(start):
                return frame
    raise AssertionError("the connection ended")


async def test_an_event_above_the_limit_of_the_peer_counts_as_too_large():
    async with connected() as (_, connection):
        connection._largest_message = 1_000
        with pytest.raises(ConnectionLost) as lost:
            await connection.send(["x" * 2_000])
        assert lost.value.close_code == TOO_LARGE
        with pytest.raises(ConnectionLost):
            await connection.send(["x"])


async def test_bytes_of_the_data_channel_are_no_sound():
    async with connected() as (_, connection):
        connection._take(b"\1\2\xff")
        assert await event(connection, "\1") == "\1\2\ufffd"


async def test_a_flood_of_events_ends_the_connection():
    async with connected() as (_, connection):
        for _ in range(QUEUED_FRAMES + 1):
            connection._take("x")
        with pytest.raises(ConnectionLost, match="sends too much data"):
            async for _ in connection:
                pass


def hostile_packet(choose: Random, ssrc: int) -> bytes:
    """Return an RTP or RTCP packet: a wrong payload, order, time, format or length."""
    kind = choose.choice((96, 96, 13, 0, choose.randrange(128), 72 + choose.randrange(8)))
    first = choose.choice((0x80, 0x80, 0x90, 0xA0, choose.randrange(256)))
    sequence, time = choose.randrange(1 << 16), choose.randrange(1 << 32)
    payload = choose.randbytes(choose.choice((0, 1, 3, 160, 1_000)))
    return struct.pack("!BBHII", first, kind, sequence, time, ssrc) + payload


async def test_hostile_packets_end_nothing_but_the_call(capfd):
    choose = Random(17)
    async with connected() as (calls, connection):
        sender = calls.call.peer.getTransceivers()[0].sender
        for number in range(600):
            with suppress(Exception):
                await sender.transport._send_rtp(hostile_packet(choose, sender._ssrc))
            if number % 100 == 0:
                await asyncio.sleep(0.02)
        calls.call.out.write(tone(20.0).astype("<i2").tobytes())
        async with asyncio.timeout(10):
            async for frame in connection:
                if isinstance(frame, bytes) and frame and rms(np.frombuffer(frame, "<i2")) > 1_000:
                    break
        for _ in range(300):
            with suppress(Exception):
                await sender.transport._send_data(choose.randbytes(choose.randrange(1_200)))
        await asyncio.sleep(0.1)
    assert capfd.readouterr() == ("", "")


async def test_the_clock_of_the_server_is_compared_and_a_key_is_masked():
    async with connected() as (calls, connection):
        assert abs(connection.clock_ahead_s) < 30
        connection._take(f"your key {KEY}")
        assert await event(connection, "your key") == "your key ***"
        assert calls.fake.wrong == []


async def test_a_server_on_the_internet_names_no_addresses_of_this_network(monkeypatch):
    monkeypatch.setattr(sdp_exchange, "_is_public", lambda _: True)
    async with fake_calls() as calls:
        with pytest.raises(DialFailed, match="No network path"):
            await dialing.dial(target(calls), deadline=8)


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("127.0.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("router.local", False),
        ("", False),
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
    ],
)
def test_private_candidates_are_dropped(address, kept):
    line = f"a=candidate:1 1 udp 2130706431 {address} 9 typ host\r\n"
    assert sdp_exchange._without_private(GOOD + line) == GOOD + line * kept


async def test_a_program_that_was_stopped_does_not_count_the_time_as_silence():
    async with connected() as (_, connection):
        connection._alive -= 60
        assert connection.quiet_for() > 59
        connection._checked_at -= 60
        assert connection.quiet_for() == 0.0
