"""A process that is attacked and measures itself: `victim.py clients` or `victim.py serve`.

Each line of its input is a JSON object with the surface; the answer is one line with the outcome,
the longest stall of the loop and the peak memory above that before the attack.
"""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import json
import logging
import sys
import traceback
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

sys.path.extend([str(Path(__file__).parent), str(Path(__file__).parents[1] / "support")])

from loop_beat import LoopBeat, MemoryPeak
from victim_serve import next_line, serve

from voicechat.errors import VoicechatError
from voicechat.system import garbage
from voicechat.tools.registry import ToolError


def _write(found: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


async def _measured(attacked: Callable[[], Awaitable[object]], patience_s: float) -> None:
    """Run the client and write the figures. Any error but a sentence is a fault."""
    outcome, fault = "", ""
    _start_afresh()
    peak = MemoryPeak()
    async with LoopBeat() as beat:
        try:
            async with asyncio.timeout(patience_s):
                outcome = str(await attacked())[:200]
        except TimeoutError:
            outcome = "given up"
        except (VoicechatError, ToolError) as error:
            outcome = str(error)[:200]
        except BaseExceptionGroup as error:
            fault = f"{error!r}"[:500]
        except Exception as error:
            fault = _places(error)[:700]
        await asyncio.sleep(0.02)
    tasks = len(asyncio.all_tasks())
    _write({
        "outcome": outcome, "fault": fault, "stall_ms": beat.worst_s * 1000, "place": beat.place,
        "peak_mb": peak.mb, "tasks": tasks,
    })  # fmt: skip


def _start_afresh() -> None:
    """Free what the attack before left, and set aside what is imported, as the program does."""
    gc.unfreeze()
    gc.collect()
    garbage.set_aside()


def _places(error: BaseException) -> str:
    """Return the error of a worker, or the error itself, with the innermost places."""
    inner = getattr(error, "error", None)
    if isinstance(inner, BaseException):
        error = inner
    last = traceback.extract_tb(error.__traceback__)[:-5:-1]
    places = " < ".join(
        f"{place.name} ({Path(place.filename).name}:{place.lineno})" for place in last
    )
    return f"{type(error).__name__}: {error} in {places}"


async def _clients() -> None:
    from victim_requests import REQUESTS
    from victim_screen import talk

    _write({"ready": True})
    while line := await next_line():
        said = json.loads(line)
        port, patience = said["port"], said["patience_s"]
        if said["surface"] == "screen":
            await _measured(partial(talk, port, said["wire"], patience), patience + 20)
        else:
            await _measured(partial(REQUESTS[said["surface"]], port), patience)


async def _server() -> None:
    async def until_next_line() -> None:
        while await next_line():
            await _measured(next_line, 600)

    await serve(until_next_line)


if __name__ == "__main__":
    logging.basicConfig(level=logging.CRITICAL)
    faulthandler.enable()
    asyncio.run({"clients": _clients, "serve": _server}[sys.argv[1]]())
