"""A connection to a provider over any transport. The address says which one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from voicechat.system.dial_target import DialTarget
from voicechat.transports import websocket
from voicechat.transports.websocket import DIAL_SECONDS, LIVENESS_SECONDS


class Connection(Protocol):
    """An open connection. Iterate over it to receive frames, and `close` it at the end.

    A frame of text is an event or a command. Where sound travels apart from these
    (`Capabilities.separate_sound`), a frame of bytes is sound: mono PCM16.
    """

    clock_ahead_s: float
    """Seconds by which the clock of this computer is ahead of the peer's; 0 if unknown."""
    round_trip_s: float
    """Latest time to the peer and back; 0 if unknown."""

    def quiet_for(self) -> float:
        """Return the seconds since the peer showed any life."""
        ...

    async def send(self, frames: Sequence[str | bytes]) -> None:
        """Send frames after all earlier ones; return when the last one is sent.

        Raises `ConnectionLost` if the connection is lost.
        """
        ...

    def send_audio(self, frame: str | bytes, *, keep: bool = False) -> None:
        """Queue an audio frame without waiting; the oldest ones are dropped if too many are.

        `keep` marks a frame that later audio depends on: it is not dropped.
        """
        ...

    def __aiter__(self) -> AsyncIterator[str | bytes]:
        """Yield the received frames. Always ends with `ConnectionLost`, which has the reason."""
        ...

    async def close(self) -> None:
        """Close the connection. What is not sent yet is dropped."""
        ...


async def dial(
    endpoint: DialTarget,
    *,
    deadline: float = DIAL_SECONDS,
    liveness_timeout_s: float = LIVENESS_SECONDS,
) -> Connection:
    """Connect within `deadline` seconds; a peer without life for `liveness_timeout_s` is lost.

    Raises `KeyMissing` if the key is refused and `DialFailed` for everything else.
    """
    if endpoint.call is None:
        return await websocket.dial(
            endpoint, deadline=deadline, liveness_timeout_s=liveness_timeout_s
        )
    from voicechat.transports import webrtc

    return await webrtc.dial(
        endpoint, endpoint.call, deadline=deadline, liveness_timeout_s=liveness_timeout_s
    )
