"""The SDP offer of a call, checked and reduced before aiortc reads it.

A call has one audio section and at most one for data channels, on one transport. Each section or
candidate more would cost the server sockets and packets. Candidates with a name in `.local` are
dropped: the client itself then finds the way, without a search in the network.

Sources: RFC 8866 (SDP), RFC 8839 (candidates), RFC 9143 (bundles).
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from voicechat.server.realtime.server_frames import WireError

MOST_BYTES = 64 * 1024
_MOST_LINES = 1_000
_MOST_CANDIDATES = 32
_CANDIDATE = "a=candidate:"


@dataclass(frozen=True, slots=True)
class CheckedOffer:
    """A checked offer."""

    sdp: str
    has_events: bool
    """True if it has a section for data channels."""


def call_offer(content: bytes) -> CheckedOffer:
    """Return the checked offer. Raises `WireError`."""
    if len(content) > MOST_BYTES:
        raise _wrong(f"it has more than {MOST_BYTES // 1024} KiB")
    try:
        lines = content.decode("utf-8").replace("\r\n", "\n").strip("\n").split("\n")
    except UnicodeDecodeError:
        raise _wrong("it is not UTF-8") from None
    if lines[0] != "v=0":
        raise _wrong("it does not begin with 'v=0'")
    if len(lines) > _MOST_LINES or not all(map(str.isprintable, lines)):
        raise _wrong("it has too many lines, or control characters")
    kinds = [line[2:].partition(" ")[0] for line in lines if line.startswith("m=")]
    if kinds not in (["audio"], ["audio", "application"]):
        raise _wrong("it must have one audio section, then at most one for data channels")
    _check_bundle(lines, len(kinds))
    return CheckedOffer("".join(f"{line}\r\n" for line in _reduced(lines)), len(kinds) > 1)


def _check_bundle(lines: list[str], sections: int) -> None:
    names = [line[6:] for line in lines if line.startswith("a=mid:")]
    bundles = [line.split()[1:] for line in lines if line.startswith("a=group:BUNDLE")]
    if len(set(names)) != sections or bundles not in ([names], [] if sections == 1 else [names]):
        raise _wrong("its sections must be in one bundle, each with its own 'a=mid'")


def _reduced(lines: list[str]) -> list[str]:
    """Return the lines without candidates that the server does not use."""
    kept, candidates = [], 0
    for line in lines:
        if line.startswith(_CANDIDATE):
            candidates += 1
            if candidates > _MOST_CANDIDATES or not _is_usable(line):
                continue
        if line != "a=end-of-candidates":
            # A client is found by its own packets, too, so the list is never complete.
            kept.append(line)
    return kept


def _is_usable(line: str) -> bool:
    """Return True for a candidate with UDP and the address of one host."""
    words = line.split()
    if len(words) < 8 or words[2].lower() != "udp":
        return False
    try:
        address = ipaddress.ip_address(words[4])
    except ValueError:
        return False
    return not (address.is_multicast or address.is_unspecified or address.is_reserved)


def _wrong(what: str) -> WireError:
    return WireError("invalid_sdp", f"The SDP offer is not valid: {what}.", "sdp")
