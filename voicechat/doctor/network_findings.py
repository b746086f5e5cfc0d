"""Reachability of the providers: DNS, TCP and TLS with a deadline, without a session."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from voicechat.doctor.findings import Finding, note, ok, problem
from voicechat.system.daemon_call import call_with_deadline

DEADLINE_S = 3.5
"""Deadline in seconds for each step of reaching a target."""

_STREAM = socket.SOCK_STREAM
_MAX_ADDRESSES = 4

Failure = Literal["", "dns", "refused", "timeout", "tls", "proxy"]
_BY_SPECIFICITY: tuple[Failure, ...] = ("", "tls", "refused", "timeout")
"""Failures of a connection, from the most to the least specific; the first is no failure."""


@dataclass(frozen=True, slots=True)
class Target:
    """An address to reach, with its use and its key."""

    title: str
    """Name of the provider, or the setting with the address."""
    address: str
    """URL with the scheme http, https, ws or wss."""
    key_variable: str | None = None
    has_key: bool = False
    is_chosen: bool = False
    """True if the settings use it; failures of other targets are notes."""
    is_private: bool = False
    """True if the report must not contain the host name."""

    @property
    def host(self) -> str:
        """Host name for the report."""
        return "Its address" if self.is_private else urlsplit(self.address).hostname or ""


@dataclass(frozen=True, slots=True)
class ReachResult:
    """The result of reaching a target."""

    target: Target
    failure: Failure = ""
    reason: str = ""
    """Details of a failure."""
    took_ms: float = 0.0
    by_proxy: bool = False


async def reach(target: Target, deadline: float = DEADLINE_S) -> ReachResult:
    """Resolve the name, connect, complete the TLS handshake and disconnect. Never raises.

    Each step has a `deadline` in seconds. Uses the proxy of the environment variables, if any.
    """
    try:
        parts = urlsplit(target.address)
        secure = parts.scheme in {"https", "wss"}
        host, port = parts.hostname or "", parts.port or (443 if secure else 80)
    except ValueError:
        return ReachResult(target, "dns", "it is not an address")
    proxy = _proxy(secure, host)
    if proxy is not None:
        host, port, secure = *proxy, False
    began = time.monotonic()
    failure, reason = await _connect(host, port, secure, deadline)
    if failure and proxy is not None:
        failure = "proxy"
    took_ms = (time.monotonic() - began) * 1000
    return ReachResult(target, failure, reason, took_ms, by_proxy=proxy is not None)


async def _connect(host: str, port: int, secure: bool, deadline: float) -> tuple[Failure, str]:
    try:
        found = await call_with_deadline(
            lambda: socket.getaddrinfo(host, port, type=_STREAM), deadline
        )
    except TimeoutError:
        return "timeout", "resolving the name"
    except (OSError, UnicodeError):
        return "dns", ""
    addresses = list(dict.fromkeys(str(each[4][0]) for each in found))[:_MAX_ADDRESSES]
    context = ssl.create_default_context() if secure else None
    attempts = [_connect_address(each, port, context, host, deadline) for each in addresses]
    outcomes = await asyncio.gather(*attempts)
    # A TLS failure is more specific than an unreachable address.
    return min(outcomes, key=lambda outcome: _BY_SPECIFICITY.index(outcome[0]))


async def _connect_address(
    address: str, port: int, context: ssl.SSLContext | None, host: str, deadline: float
) -> tuple[Failure, str]:
    try:
        async with asyncio.timeout(deadline):
            _, writer = await asyncio.open_connection(
                address, port, ssl=context, server_hostname=host if context else None
            )
    except TimeoutError:
        return "timeout", "connecting"
    except ssl.SSLCertVerificationError as error:
        return "tls", error.verify_message
    except ssl.SSLError as error:
        return "tls", error.reason or ""
    except OSError as error:
        return "refused", os.strerror(error.errno) if error.errno else ""
    writer.transport.abort()
    return "", ""


def _proxy(secure: bool, host: str) -> tuple[str, int] | None:
    found: Mapping[str, str] = getproxies()
    address = found.get("https" if secure else "http") or found.get("all")
    if not address or proxy_bypass(host) or host == "localhost" or host.startswith("127."):
        return None
    try:
        parts = urlsplit(address if "//" in address else f"http://{address}")
        return (parts.hostname, parts.port or 8080) if parts.hostname else None
    except ValueError:
        return None


# -------------------------------------------------------------------------------- findings


def findings(results: list[ReachResult]) -> list[Finding]:
    """Return a finding for each target; only chosen targets can be problems."""
    return [finding for result in results for finding in _target_findings(result)]


def _target_findings(result: ReachResult) -> Iterator[Finding]:
    target = result.target
    key = _key_sentence(target)
    if result.failure:
        sentence, remedy = _failure_texts(result)
        make = problem if target.is_chosen else note
        yield make(target.title, " ".join([sentence, key]).strip(), remedy)
        return
    success = f"{target.host} answers in {result.took_ms:.0f} ms."
    if result.by_proxy:
        success = "Its proxy answers."
    if target.key_variable is None or target.has_key:
        yield ok(target.title, f"{success} {key}".strip())
    elif target.is_chosen:
        yield problem(target.title, f"{success} {key}", f"Set {target.key_variable}.")
    else:
        yield note(target.title, f"{success} {key}", f"Set {target.key_variable} to use it.")


def _key_sentence(target: Target) -> str:
    if target.key_variable is None:
        return ""
    return f"{target.key_variable} is {'set' if target.has_key else 'not set'}."


def _failure_texts(result: ReachResult) -> tuple[str, str]:
    host = result.target.host
    if result.failure == "dns":
        return f"{host} cannot be found.", "Check the network, DNS and the address."
    if result.failure == "timeout":
        return (
            f"{host} did not answer in time ({result.reason}).",
            "Check the network and its firewall. --model local works without a network.",
        )
    if result.failure == "tls":
        return (
            f"The TLS handshake with {host} failed ({result.reason or 'no reason given'}).",
            "Check this machine's clock and certificates, and whether a proxy intercepts TLS.",
        )
    if result.failure == "proxy":
        return (
            "Its proxy does not answer.",
            "Check HTTPS_PROXY, ALL_PROXY and NO_PROXY.",
        )
    return (
        f"{host} cannot be reached ({result.reason or 'connection refused'}).",
        "Check the server, its port and the network.",
    )
