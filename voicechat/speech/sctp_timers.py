"""Short retransmission timers for the data channel of a call.

aiortc waits 3 s before it sends a lost event again, and at least 1 s once it knows the round trip.
It measures with the wall clock, so a clock that jumps would make it wait for up to a minute.

Sources: RFC 9260, 6.3.1 and 16 (RTO.Initial); `dcsctp_options.h` of libwebrtc (its shortest
timeout, which leaves time for an acknowledgment that is delayed by 200 ms).
"""

from __future__ import annotations

from typing import Any, Final

INITIAL_S: Final = 1.0
"""Before the first measurement. The handshake is tried 8 times, so a call opens within 8 s."""
SHORTEST_S: Final = 0.4
LONGEST_S: Final = 3.0


def shorten_timers(sctp: Any) -> None:
    """Let a new `RTCSctpTransport` of aiortc send lost events again soon."""
    measure = sctp._update_rto

    def measure_within_bounds(round_trip_s: float) -> None:
        measure(min(max(round_trip_s, 0.0), LONGEST_S))
        timeout_s = sctp._srtt + 4 * sctp._rttvar
        sctp._rto = min(max(timeout_s, SHORTEST_S), LONGEST_S)

    sctp._update_rto = measure_within_bounds
    sctp._rto = INITIAL_S
