"""Network addresses that a tool may reach: public ones only."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable

from voicechat.tools.registry import ToolError

Resolver = Callable[[str, int], Awaitable[list[str]]]
"""All addresses of a host, as text. Raises `OSError` when there are none."""

_LOOKUP_S = 5.0
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE = ipaddress.IPv6Network("::/96")
_UNICAST = ipaddress.IPv6Network("2000::/3")
_SPECIAL = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "192.88.99.0/24", "3fff::/20")))
"""Reserved ranges that some Python versions treat as public."""


async def resolve(host: str, port: int) -> list[str]:
    """Look up the addresses of a host with the system's resolver, within 5 s."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(_LOOKUP_S):
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def is_public(text: str) -> bool:
    """Return True for an IP address on the public Internet; embedded IPv4 addresses count too."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return all(map(_is_public_unicast, _with_embedded(address)))


def _is_public_unicast(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    unicast = isinstance(address, ipaddress.IPv4Address) or address in _UNICAST
    special = (
        address.is_multicast
        or address.is_reserved
        or address.is_unspecified
        or any(address in each for each in _SPECIAL)
    )
    return address.is_global and unicast and not special


def _with_embedded(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """Return the address and the IPv4 addresses embedded in it."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address.sixtofour is not None:
        return [address, address.sixtofour]
    if address.teredo is not None:
        return [address, *address.teredo]
    if address in _NAT64 or address in _COMPATIBLE:
        return [address, ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)]
    return [address]


async def public_address(
    host: str, port: int, resolver: Resolver, allowed: Callable[[str], bool] = is_public
) -> str:
    """Resolve a host to one address to connect to. Raises `ToolError` unless all are public."""
    try:
        found = await resolver(host, port)
    except (OSError, UnicodeError):
        raise ToolError(f"There is no host called {host!r}.") from None
    except TimeoutError:
        raise ToolError(f"The name {host!r} could not be looked up in time.") from None
    if not found or not all(map(allowed, found)):
        raise ToolError(f"{host!r} is not a public address and is not contacted.")
    return next((address for address in found if ":" not in address), found[0])
