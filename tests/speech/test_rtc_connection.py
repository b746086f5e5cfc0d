"""What a call sets up at a connection of aiortc."""

from __future__ import annotations

from aiortc import RTCConfiguration, RTCPeerConnection

from voicechat.speech.rtc_connection import INITIAL_S, LONGEST_S, SHORTEST_S, shorten_timers


async def test_a_lost_event_is_sent_again_soon_and_a_clock_that_jumps_changes_little() -> None:
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    peer.createDataChannel("oai-events")
    sctp = peer.sctp
    shorten_timers(sctp)
    assert sctp._rto == INITIAL_S
    for _ in range(10):
        sctp._update_rto(0.02)
    assert sctp._rto == SHORTEST_S
    sctp._update_rto(3_600.0)
    assert sctp._rto <= LONGEST_S
    sctp._update_rto(-3_600.0)
    for _ in range(30):
        sctp._update_rto(0.02)
    assert sctp._rto == SHORTEST_S
    await peer.close()
