"""Devices that come, go, stall and hang: time to the report and to recovered sound."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from figures import Figure, Table, at_most, spread, trials
from sound_measures import a_card, start
from sound_rig import Rig, spans
from virtual_audio import RATE, VirtualCard, tone

from voicechat.audio.messages import Opened, Problem, Switched
from voicechat.core.effects import Play
from voicechat.core.inputs import MicBlock, PlaybackStarted

PEERS_NOTICED = "none looks; their streams stay silent until a restart"
PEERS_HANG = "PortAudio's close() hangs with the server, and they with it"
NOTICED_MS = 1_000
REOPENED_MS = 2_000


def fault(
    breaks: Callable[[VirtualCard], object], mends: Callable[[VirtualCard], object], count: int
) -> Iterator[Figure]:
    """Measure from the fault to its report, and from its end to both sides working."""
    noticed, back = [], []
    for _ in range(count):
        with a_card() as card:
            rig = _speaking(barge_in="off")
            noticed.append(_until(rig, lambda c=card: breaks(c), _told))
            back.append(_until(rig, lambda c=card: mends(c), lambda r: r.wait(MicBlock)))
            rig.process.close()
    met = at_most(noticed, worst=NOTICED_MS)
    yield Figure("fault → report, ms", spread(noticed), f"worst {NOTICED_MS}", met, PEERS_NOTICED)
    met = at_most(back, worst=REOPENED_MS)
    yield Figure("mended → hears again, ms", spread(back), f"worst {REOPENED_MS}", met, "")


def stalled(count: int) -> Iterator[Figure]:
    """Measure from a lasting stall to the report after which answers are read as text."""
    missing, awake = [], []
    for _ in range(count):
        with a_card() as card:
            rig = _speaking(barge_in="off")
            missing.append(_until(rig, lambda c=card: c.suspend(True), _without_speaker))
            awake.append(_until(rig, lambda c=card: c.suspend(False), _with_speaker))
            rig.process.close()
    met = at_most(missing, worst=NOTICED_MS + REOPENED_MS)
    worst = f"worst {NOTICED_MS + REOPENED_MS}"
    yield Figure("stalled → text goes on, ms", spread(missing), worst, met, PEERS_NOTICED)
    met = at_most(awake, worst=REOPENED_MS)
    yield Figure("runs again → report, ms", spread(awake), f"worst {REOPENED_MS}", met, "")


def follow(count: int) -> Iterator[Figure]:
    """Measure from the change of the default to sound on the new device, and to the report."""
    reported, heard = [], []
    for _ in range(count):
        with a_card() as card:
            card.route_as_desktop()
            card.add("kitchen", "Kitchen")
            rig = _speaking(barge_in="off")
            recording = card.record("kitchen.monitor")
            began = time.monotonic()
            card.make_default(sink="kitchen")
            rig.wait(Switched)
            reported.append((time.monotonic() - began) * 1000)
            rig.collect(1.0)
            first = spans(recording.stop()[:, 0])[0][0]
            heard.append(first * 1000 / RATE - (began - recording.began) * 1000)
            rig.process.close()
    met = at_most(heard, worst=REOPENED_MS)
    peers = "none by itself; LiveKit's console after a restart"
    yield Figure(
        "new default → sounds there, ms", spread(heard), f"worst {REOPENED_MS}", met, peers
    )
    yield Figure("new default → report, ms", spread(reported))


def close_hung(count: int) -> Iterator[Figure]:
    """Measure closing while the sound server hangs."""
    took = []
    for _ in range(count):
        with a_card() as card:
            rig = _speaking()
            card.freeze()
            began = time.monotonic()
            rig.process.close()
            took.append((time.monotonic() - began) * 1000)
    met = at_most(took, worst=REOPENED_MS)
    yield Figure("quit → ended, ms", spread(took), f"worst {REOPENED_MS}", met, PEERS_HANG)


def _speaking(**settings: object) -> Rig:
    rig = start(**settings)
    rig.send(Play("a", tone(30)))
    rig.wait(PlaybackStarted)
    rig.collect(0.3)
    return rig


def _told(rig: Rig) -> object:
    return rig.wait(object, lambda event: isinstance(event, Problem | Opened))


def _without_speaker(rig: Rig) -> object:
    return rig.wait(Opened, lambda opened: not opened.output_name)


def _with_speaker(rig: Rig) -> object:
    return rig.wait(Opened, lambda opened: bool(opened.output_name))


def _until(rig: Rig, happens: Callable[[], object], reported: Callable[[Rig], object]) -> float:
    rig.collect(0.05)
    began = time.monotonic()
    happens()
    reported(rig)
    return (time.monotonic() - began) * 1000


TABLE = Table(
    "Devices",
    {
        "unplugged and plugged back": lambda effort: fault(
            lambda card: card.unplug(), lambda card: card.plug(), trials(5, effort)
        ),
        "stalled (Bluetooth, suspend)": lambda effort: fault(
            lambda card: card.suspend(True), lambda card: card.suspend(False), trials(5, effort)
        ),
        "stalled for long": lambda effort: stalled(trials(3, effort)),
        "sound server hangs": lambda effort: fault(
            lambda card: card.freeze(), lambda card: card.thaw(), trials(3, effort)
        ),
        "sound server killed": lambda effort: fault(
            lambda card: card.kill(), lambda card: card.start(), trials(3, effort)
        ),
        "another default": lambda effort: follow(trials(5, effort)),
        "quitting while it hangs": lambda effort: close_hung(trials(3, effort)),
    },
)
