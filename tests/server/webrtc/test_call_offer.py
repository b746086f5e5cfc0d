"""Offers: what a call may offer, and which candidates are left."""

from __future__ import annotations

import pytest

from voicechat.server.realtime.server_frames import WireError
from voicechat.server.webrtc.call_offer import call_offer

HEAD = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0"]
AUDIO = ["m=audio 9 UDP/TLS/RTP/SAVPF 111", "a=mid:0"]
EVENTS = ["m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "a=mid:1"]
BUNDLE = "a=group:BUNDLE 0 1"


def sdp(*lines: str, end: str = "\r\n") -> bytes:
    return "".join(f"{line}{end}" for line in lines).encode()


def candidate(address: str, transport: str = "udp") -> str:
    return f"a=candidate:1 1 {transport} 2130706431 {address} 50000 typ host generation 0"


@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_an_offer_keeps_its_lines(end: str) -> None:
    lines = (*HEAD, BUNDLE, *AUDIO, *EVENTS)
    offer = call_offer(sdp(*lines, end=end))
    assert offer.sdp == sdp(*lines).decode()
    assert offer.has_events
    assert not call_offer(sdp(*HEAD, "a=group:BUNDLE 0", *AUDIO)).has_events
    assert not call_offer(sdp(*HEAD, *AUDIO)).has_events


def test_only_addresses_of_hosts_stay() -> None:
    good = [candidate(address) for address in ("192.0.2.7", "127.0.0.1", "2001:db8::1")]
    bad = [
        *map(candidate, ["6d1b.local", "host.example", "224.0.0.251", "0.0.0.0", "ff02::1"]),
        candidate("192.0.2.7", "tcp"),
        "a=candidate:1 1 udp 1 192.0.2.7",
        "a=end-of-candidates",
    ]
    offer = call_offer(sdp(*HEAD, *AUDIO, *good, *bad))
    assert offer.sdp == sdp(*HEAD, *AUDIO, *good).decode()
    many = call_offer(sdp(*HEAD, *AUDIO, *good * 100))
    assert many.sdp.count("a=candidate") == 32


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"\xff\xfe",
        sdp("v=0"),
        sdp(*HEAD, BUNDLE, *EVENTS),
        sdp(*HEAD, BUNDLE, *EVENTS, *AUDIO),
        sdp(*HEAD, *AUDIO, *EVENTS),
        sdp(*HEAD, "a=group:BUNDLE 0", *AUDIO, *EVENTS),
        sdp(*HEAD, BUNDLE, *AUDIO, AUDIO[0], "a=mid:1"),
        sdp(*HEAD, BUNDLE, *AUDIO, "m=video 9 UDP/TLS/RTP/SAVPF 96", "a=mid:1"),
        sdp(*HEAD, "a=group:BUNDLE 0 0", *AUDIO, EVENTS[0], "a=mid:0"),
        sdp(*HEAD, *AUDIO, "a=x\x00"),
        sdp(*HEAD, *AUDIO, *["a=x"] * 1_000),
        sdp(*HEAD, *AUDIO, "a=" + "x" * 65_536),
    ],
    ids=range(14),
)
def test_another_text_is_no_offer(content: bytes) -> None:
    with pytest.raises(WireError, match=r"^The SDP offer is not valid: ") as caught:
        call_offer(content)
    assert caught.value.param == "sdp"
