"""What both sides of a call set up at a connection of aiortc: its servers and its timers.

For the data channel, aiortc waits 3 s before it sends a lost event again, and at least 1 s once it
knows the round trip. It measures with the wall clock, so a clock that jumps would make it wait for
up to a minute.

Sources: RFC 9260, 6.3.1 and 16 (RTO.Initial); `dcsctp_options.h` of libwebrtc (its shortest
timeout, which leaves time for an acknowledgment that is delayed by 200 ms).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from voicechat.system.ice_servers import IceServer

if TYPE_CHECKING:
    from aiortc import RTCConfiguration

INITIAL_S: Final = 1.0
"""Before the first measurement. The handshake is tried 8 times, so a call opens within 8 s."""
SHORTEST_S: Final = 0.4
LONGEST_S: Final = 3.0

GATHER_S: Final = 2.0
"""Time for STUN and TURN servers to answer; without an answer the call does without them."""


def rtc_configuration(servers: Iterable[IceServer]) -> RTCConfiguration:
    """Return the configuration of a connection that uses these servers, and no others."""
    from aiortc import RTCBundlePolicy, RTCConfiguration, RTCIceServer

    named = [
        RTCIceServer(each.url, each.user, each.password.reveal() if each.password else None)
        for each in servers
    ]
    return RTCConfiguration(iceServers=named, bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)


def limit_gathering(agent: Any) -> None:
    """Let an ICE agent of aioice wait at most `GATHER_S` for servers, instead of 5 s."""
    gather = agent.get_component_candidates

    async def limited(component: int, addresses: list[str], timeout: float = 0) -> Any:
        return await gather(component, addresses, timeout=GATHER_S)

    agent.get_component_candidates = limited


def shorten_timers(sctp: Any) -> None:
    """Let a new `RTCSctpTransport` of aiortc send lost events again soon."""
    measure = sctp._update_rto

    def measure_within_bounds(round_trip_s: float) -> None:
        measure(min(max(round_trip_s, 0.0), LONGEST_S))
        timeout_s = sctp._srtt + 4 * sctp._rttvar
        sctp._rto = min(max(timeout_s, SHORTEST_S), LONGEST_S)

    sctp._update_rto = measure_within_bounds
    sctp._rto = INITIAL_S
