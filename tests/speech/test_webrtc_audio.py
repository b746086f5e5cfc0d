"""PCM over WebRTC tracks: the outgoing queue, and sound through two connections on loopback."""

import asyncio
import sys

import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection

from voicechat.errors import UsageError
from voicechat.speech import webrtc_audio
from voicechat.speech.webrtc_audio import IncomingSound, OutgoingSound, prefer_opus

RATE = 24_000
BLOCK = RATE // 50 * 2
TONE = (8_000 * np.sin(2 * np.pi * 440 * np.arange(RATE * 2) / RATE)).astype("<i2").tobytes()


async def test_queued_sound_is_sent_in_blocks_and_silence_follows():
    sound = OutgoingSound(RATE)
    sound.write(TONE[: 2 * BLOCK])
    blocks = [await sound.next_block() for _ in range(3)]
    assert [pcm for pcm, _ in blocks] == [TONE[:BLOCK], TONE[BLOCK : 2 * BLOCK], bytes(BLOCK)]
    assert [before for _, before in blocks] == [0, 480, 960]
    assert (sound.sent_s, sound.queued_s) == (pytest.approx(0.04), 0)


async def test_the_oldest_sound_is_dropped_when_too_much_is_queued():
    sound = OutgoingSound(RATE, limit_s=0.1)
    sound.write(TONE[: 8 * BLOCK])
    assert sound.dropped_s == pytest.approx(0.06)
    assert (await sound.next_block())[0] == TONE[3 * BLOCK : 4 * BLOCK]


async def test_clear_drops_what_is_queued():
    sound = OutgoingSound(RATE)
    sound.write(TONE[: 3 * BLOCK])
    await sound.next_block()
    assert sound.clear() == pytest.approx(0.04)
    assert (await sound.next_block())[0] == bytes(BLOCK)


async def test_sending_starts_when_enough_is_queued_and_the_last_part_is_sent():
    sound = OutgoingSound(RATE, start_s=0.04)
    sound.write(TONE[:BLOCK])
    assert (await sound.next_block())[0] == bytes(BLOCK)
    sound.write(TONE[BLOCK : BLOCK * 2 + 100])
    sent = [(await sound.next_block())[0] for _ in range(5)]
    assert sent[:2] == [TONE[:BLOCK], TONE[BLOCK : 2 * BLOCK]]
    assert sent[2:4] == [bytes(BLOCK)] * 2, "the rest waits for more"
    assert sent[4][:100] == TONE[BLOCK * 2 : BLOCK * 2 + 100]


async def connected(sound: OutgoingSound) -> tuple[list[RTCPeerConnection], IncomingSound]:
    """Connect two peers in this process; the second one receives `sound`."""
    peers = [RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2)]
    sender, receiver = peers
    prefer_opus(sender.addTransceiver(sound.track, direction="sendonly"))
    await sender.setLocalDescription(await sender.createOffer())
    await receiver.setRemoteDescription(sender.localDescription)
    incoming = IncomingSound(receiver.getReceivers()[0], RATE)
    await receiver.setLocalDescription(await receiver.createAnswer())
    await sender.setRemoteDescription(receiver.localDescription)
    return peers, incoming


async def test_sound_passes_two_connections_as_opus():
    sound = OutgoingSound(RATE, limit_s=3)
    peers, incoming = await connected(sound)
    try:
        sdp = peers[1].localDescription.sdp
        assert "opus/48000/2" in sdp
        assert "PCMU" not in sdp
        sound.write(TONE)
        heard = np.zeros(0)
        async with asyncio.timeout(20):
            while np.count_nonzero(abs(heard) > 2_000) < RATE:
                block = np.frombuffer(await incoming.read(), "<i2").astype(float)
                heard = np.concatenate((heard, block))
    finally:
        await asyncio.gather(*(peer.close() for peer in peers))
    start = int(np.flatnonzero(abs(heard) > 2_000)[0])
    piece = heard[start + 2_000 : start + 12_000]
    spectrum = abs(np.fft.rfft(piece * np.hanning(len(piece))))
    assert abs(int(np.argmax(spectrum)) * RATE / len(piece) - 440) < 5
    assert np.sqrt((piece**2).mean()) == pytest.approx(8_000 / np.sqrt(2), rel=0.1)


def test_without_the_extra_one_sentence_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "aiortc", None)
    with pytest.raises(UsageError) as refused:
        webrtc_audio.require_webrtc()
    assert str(refused.value) == (
        "WebRTC needs a part that is not installed. Type: pip install 'voicechat[webrtc]'"
    )
