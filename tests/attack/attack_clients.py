"""Waves against the clients of the program: hostile HTTP servers and hostile providers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

from attack_log import AttackLog, Victim
from hostile_http import WAYS as HTTP_WAYS
from hostile_http import HostileHttp
from hostile_wire import WAYS as WIRE_WAYS
from hostile_wire import WIRES, HostileWire
from victim_environment import victim_environment
from victim_requests import REQUESTS


async def attack_requests(log: AttackLog, choose: Random, most: int) -> None:
    """Attack at most so many HTTP requests of one victim."""
    async with _victim(log) as victim:
        await _requests(victim, log, choose, most)


async def attack_screen(log: AttackLog, choose: Random, most: int) -> None:
    """Attack at most so many sessions with a screen of one victim."""
    async with _victim(log) as victim:
        await _screens(victim, log, choose, most)


async def attack_both(log: AttackLog, choose: Random, most: int) -> None:
    """Attack requests and a third as many sessions of one victim."""
    async with _victim(log) as victim:
        await _requests(victim, log, choose, most)
        await _screens(victim, log, choose, most // 3)


@asynccontextmanager
async def _victim(log: AttackLog) -> AsyncIterator[Victim]:
    with Victim("clients", victim_environment(log)) as victim:
        await asyncio.to_thread(victim.figures)
        yield victim


async def _requests(victim: Victim, log: AttackLog, choose: Random, most: int) -> None:
    pairs = [(surface, way) for surface in REQUESTS for way in HTTP_WAYS]
    choose.shuffle(pairs)
    async with HostileHttp().running() as peer:
        peer.choose = choose
        for surface in sorted({surface for surface, _ in pairs[:most]}):
            # The first request imports what it needs.
            peer.way = "cut body"
            victim.tell(surface=surface, port=peer.port, patience_s=log.patience_s)
            await asyncio.to_thread(victim.figures)
        for surface, peer.way in pairs[:most]:
            if log.is_over:
                return
            victim.tell(surface=surface, port=peer.port, patience_s=log.patience_s)
            found = await asyncio.to_thread(victim.figures)
            log.measured(surface, peer.way, found)
            peer.hang_up()


async def _screens(victim: Victim, log: AttackLog, choose: Random, most: int) -> None:
    pairs = [(wire, way) for wire in WIRES for way in WIRE_WAYS]
    choose.shuffle(pairs)
    async with HostileWire().running() as peer:
        peer.choose = choose
        peer.way = "short connections"
        await _talk(victim, peer, 0.5)
        for peer.wire, peer.way in pairs[:most]:
            if log.is_over:
                return
            found = await _talk(victim, peer, choose.choice((0.2, 0.7)) * log.patience_s)
            log.measured(f"screen with {peer.wire}", peer.way, found)


async def _talk(victim: Victim, peer: HostileWire, seconds: float) -> dict[str, object]:
    victim.tell(surface="screen", port=peer.port, wire=peer.wire, patience_s=seconds)
    return await asyncio.to_thread(victim.figures)
