"""Keeps the streams open: opens, reopens and retries each side on its own.

A side is reopened when its device stops, when another device should be used, and on request. The
other side goes on meanwhile. Only a new list of devices takes closing both (`device_list.refresh`),
and that waits until it is not audible. Each failure makes the wait before the next attempt longer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Protocol

from voicechat.audio.devices import device_list
from voicechat.audio.devices.background_call import BackgroundCall
from voicechat.audio.devices.card import ALL_SIDES, SoundCard, open_sides
from voicechat.audio.devices.default_device_watch import DefaultDeviceWatch, DeviceSwitch
from voicechat.audio.devices.device_list import Kind
from voicechat.audio.devices.speaker_change import SpeakerChange
from voicechat.audio.devices.stream_watchdog import NO_SIDES, StreamWatchdog
from voicechat.audio.devices.streams import GAP_S, BufferSize, OutputStream
from voicechat.audio.messages import AudioEvent, AudioSettings, Opened, Problem, Switched

HANG_S: Final = 1.5
"""A device call that takes longer hangs; only a new process helps then."""
_SLOW_S: Final = 4.0
"""The same for the first opening, and for one side while the other runs: a device may be slow."""
_RETRIES_S: Final = (0.0, 0.5, 1.0, 1.0, 1.0, 1.0, 2.0, 5.0, 15.0)
_STUCK_S: Final = 30.0
"""After one side did not open in time, the other one, if it runs, goes on alone for this long."""
_PAUSE_S: Final = 0.35
"""A longer pause of the loop is no fault of the devices."""
_STALE_S: Final = 3.0
_INPUT: Final[frozenset[Kind]] = frozenset(("input",))
_SPEAKER: Final[frozenset[Kind]] = frozenset(("output",))


class StreamUser(Protocol):
    """The user of the streams."""

    def streams_closing(self, card: SoundCard, now: float) -> None:
        """These streams are about to close."""

    def streams_opened(self, card: SoundCard, kinds: frozenset[Kind], now: float) -> None:
        """Sides were opened, or could not be opened: `kinds`."""

    def speaker_changed(self, now: float) -> None:
        """The open speaker counts as missing from now on, or no longer."""

    def continue_on(self, speaker: OutputStream, now: float) -> bool:
        """Play on through a second speaker that runs, without a gap; False if that must wait."""

    def streams_moved(self) -> None:
        """The sound server moved a stream to another device."""

    def is_playing(self) -> bool:
        """Return True if the speaker is heard."""

    def is_hearing(self) -> bool:
        """Return True if the microphone hears more than silence."""

    def echo_canceller(self) -> str:
        """Return the name of the echo canceller."""


class StreamSupervisor:
    """Keeps the streams of the wanted sides open; see the module. Single thread.

    `hung` is set when the process must be replaced.
    """

    def __init__(
        self,
        settings: AudioSettings,
        size: BufferSize,
        user: StreamUser,
        emit: Callable[[AudioEvent], None],
    ) -> None:
        self.card = SoundCard()
        """The open streams."""
        self.size = size
        """The buffer size of streams that are opened from now on."""
        self.hung = False
        self._settings: Final = settings
        self._user: Final = user
        self._emit: Final = emit
        self._watchdog = StreamWatchdog()
        self._device_watch = DefaultDeviceWatch(settings)
        self._switches: dict[Kind, DeviceSwitch] = {}
        self._wanted: frozenset[Kind] = frozenset(
            ("output", "input") if settings.listen else ("output",)
        )
        self._closed_name: str | None = None
        """Name of the microphone that was closed on request."""
        self._must_reopen = NO_SIDES
        self._list_is_stale = False
        self._devices_changed = False
        self._failures = 0
        self._retry_at = 0.0
        self._last_opened: Opened | None = None
        self._report_due = False
        self._last_problem = ""
        self._reported_absent = NO_SIDES
        self._deviceless = NO_SIDES
        """Sides that were reopened because the server has no device for them."""
        self._ticked_at = time.monotonic()
        self._opens = self._wanted
        self._slow_s = _SLOW_S
        self._stuck = False
        """True once a device call hangs while the other side goes on."""
        self.opening: BackgroundCall[SoundCard] | None = BackgroundCall(
            lambda: open_sides(settings, size, self._wanted)
        )
        """The opening of streams that is under way."""
        self._change = SpeakerChange()

    @property
    def speaker(self) -> OutputStream | None:
        """The open speaker, unless it is missing."""
        return None if "output" in self._watchdog.missing else self.card.speaker

    @property
    def microphone_closed(self) -> bool:
        """True while the microphone is closed on request."""
        return self._closed_name is not None

    def use_microphone(self, on: bool) -> None:
        """Open the microphone at the next `tick`, or close it; a closed one is not missing.

        One that does not work is not closed: it is retried until it does.
        """
        if not self._settings.listen or on is ("input" in self._wanted):
            return
        microphone = self.card.microphone
        if on:
            self._wanted, self._closed_name = ALL_SIDES, None
            self._retry_at = 0.0
        elif microphone is not None and microphone.runs and not self._watchdog.missing & _INPUT:
            self._wanted, self._closed_name = ALL_SIDES - _INPUT, microphone.name

    def reopen(self, kinds: frozenset[Kind]) -> None:
        """Reopen these sides at the next `tick`."""
        self._must_reopen |= kinds

    @property
    def is_changing(self) -> bool:
        """True while streams open, or a speaker replaces another one."""
        return self.opening is not None or self._change.active

    @property
    def gapless(self) -> bool:
        """True unless the device refuses a second stream, so that a change leaves a gap."""
        return self._change.possible

    def resize_speaker(self, size: BufferSize) -> None:
        """Replace the speaker by one with this buffer size, without a gap if possible."""
        self.size = size
        if self._change.possible:
            self._change.begin(lambda: OutputStream(self._settings, size))
        else:
            self.reopen(_SPEAKER)

    def tick(self, now: float) -> None:
        """Use newly opened streams, and reopen those that stopped; `now`: monotonic s."""
        pause, self._ticked_at = now - self._ticked_at, now
        if self.opening is not None:
            self._poll_opening(self.opening, now)
        elif self._change.active:
            self._poll_change(now)
        elif pause > _PAUSE_S:
            self._excuse(now, pause)
        else:
            self._watch(now)
        if self._report_due and self.opening is None and self._is_certain():
            self._report_card()

    def close(self) -> None:
        """Close the streams in the background, waiting at most half a second."""
        card, self.card = self.card, SoundCard()
        closing = BackgroundCall(card.close)
        while not closing.done and time.monotonic() - closing.began < 0.5:
            time.sleep(0.005)

    # ----------------------------------------------------------------- opening

    def _poll_opening(self, opening: BackgroundCall[SoundCard], now: float) -> None:
        if opening.done:
            self.opening = None
            if opening.result is not None:
                self._use_card(opening.result, now)
            else:
                self._use_none(opening.error)
        elif now - opening.began > self._slow_s:
            others = self.card.streams.values()
            if self._opens and any(stream.silence(now) < 1 for stream in others):
                self._go_on_without(self._opens, now)
            else:
                self._give_up()

    def _poll_change(self, now: float) -> None:
        change, old = self._change, self.card.speaker
        if change.waits(now) > _SLOW_S and (old is None or old.silence(now) >= 1):
            self._give_up()  # a speaker that plays on has time
        new = change.step(now)
        if new is None:
            if not (change.possible or change.active or self._user.is_playing()):
                self.reopen(_SPEAKER)
        elif old is None or old.rate != new.rate:
            change.finish(new)
        elif self._user.continue_on(new, now):
            kept = self.card.without(_SPEAKER)
            self.card = SoundCard((new, *kept.streams.values()), kept.problems)
            change.finish(old, new.latency)
            self._report_due = True

    def _give_up(self) -> None:
        self._emit(
            Opened(None, None, problem=device_list.SERVER_HANGS, hint=device_list.RESTART_HINT)
        )
        self.hung = True

    def _go_on_without(self, kinds: frozenset[Kind], now: float) -> None:
        """Keep the other side for a while, though only a new process can open these sides."""
        self.opening, self._stuck = None, True
        self._retry_at = now + _STUCK_S
        self._watchdog.forget(kinds)
        absent = {
            kind: device_list.NoSound(
                f"The {device_list.NOUNS[kind]} does not respond.", device_list.RECONNECT_HINT
            )
            for kind in kinds
        }
        self.card = SoundCard(self.card.streams.values(), absent)
        self._user.streams_opened(self.card, kinds, now)
        self._report_card()

    def _call(self, work: Callable[[], SoundCard]) -> None:
        """Start a device call; with another one that hangs, only a new process can make it."""
        if self._stuck:
            self.hung = True
        else:
            self.opening = BackgroundCall(work)

    def _use_none(self, error: BaseException | None) -> None:
        problem = getattr(error, "problem", str(error))
        no_sound = device_list.NoSound(problem, getattr(error, "hint", ""))
        self.card = SoundCard(self.card.streams.values(), dict.fromkeys(self._opens, no_sound))
        self._report_card()

    def _use_card(self, card: SoundCard, now: float) -> None:
        self.card = card
        self._watchdog.forget(self._opens - card.streams.keys())
        self._device_watch.restart()
        self._user.streams_opened(card, self._opens, now)
        self._report_replaced(card)
        self._report_due |= bool(self._opens)

    def _begin(self, kinds: frozenset[Kind], now: float, *, refresh: bool) -> None:
        """Reopen these sides in the background."""
        closing, kept = self.card.without(ALL_SIDES - kinds), self.card.without(kinds)
        self._user.streams_closing(closing, now)
        self.card = kept
        self._devices_changed = False
        self._failures += 1
        self._retry_at = now + GAP_S + _RETRIES_S[min(self._failures, len(_RETRIES_S)) - 1]
        settings, size = self._settings, self.size
        self._opens = kinds
        self._slow_s = HANG_S if refresh else _SLOW_S
        self._call(lambda: open_sides(settings, size, kinds, kept, closing, refresh=refresh))

    def _close(self, kinds: frozenset[Kind], now: float) -> None:
        """Close sides that are not wanted, in the background."""
        closing, kept = self.card.without(ALL_SIDES - kinds), self.card.without(kinds)
        self._user.streams_closing(closing, now)
        self.card, self._opens, self._slow_s = kept, NO_SIDES, _SLOW_S
        self._watchdog.forget(kinds)
        settings, size = self._settings, self.size
        self._call(lambda: open_sides(settings, size, (), kept, closing))

    # ----------------------------------------------------------------- watching

    def _watch(self, now: float) -> None:
        card = self.card
        if unwanted := frozenset(card.streams.keys() - self._wanted):
            self._close(unwanted, now)
            return
        report = self._watchdog.observe(card, now)
        if report.stopped:
            self._report_problem(f"{card.subject(report.stopped)} stopped; it is being reopened.")
        if report.returned or report.lost:
            self._report_card()
        if "output" in report.returned | report.lost:
            self._user.speaker_changed(now)
        if self._watchdog.healthy and card.complete and self._runs():
            self._failures, self._last_problem = 0, ""
        if self._must_reopen:
            kinds, self._must_reopen = self._must_reopen, NO_SIDES
            stale, self._list_is_stale = self._list_is_stale, False
            self._reopen(kinds, now, stale=stale)
        elif now >= self._retry_at and not self._report_due:
            absent = self._wanted - card.streams.keys()
            if self._devices_changed and self._device_watch.needs_refresh:
                absent |= self._replaced(card)
            if due := report.silent | absent:
                # The first attempt with the known list is quick and disturbs nothing. A silent
                # device is still in the list, unless devices have changed.
                stale = (bool(absent) and self._failures > 0) or self._devices_changed
                stale = stale and self._device_watch.needs_refresh and not self._is_audible()
                self._reopen(due, now, stale=stale)

    def _reopen(self, kinds: frozenset[Kind], now: float, *, stale: bool) -> None:
        """Reopen these sides; with a `stale` list of devices, all of them."""
        kinds &= self._wanted
        if stale or not self.card.streams.keys() - kinds:
            self._begin(self._wanted, now, refresh=True)
        elif kinds:
            self._begin(kinds, now, refresh=False)

    def _runs(self) -> bool:
        return all(stream.runs for stream in self.card.streams.values())

    def _is_audible(self) -> bool:
        """True if reopening both sides would be audible.

        A room is seldom silent, so after a device change only playback counts.
        """
        return self._user.is_playing() or (self._user.is_hearing() and not self._devices_changed)

    def _excuse(self, now: float, pause: float) -> None:
        """Excuse a pause of the loop itself: callbacks may be fine, and old sound is dropped."""
        if pause > _STALE_S and self.card.microphone is not None:
            self.card.microphone.ring.discard()
        for stream in self.card.streams.values():
            stream.excuse(now)

    # ----------------------------------------------------------------- device changes

    def follow_default(self, now: float) -> None:
        """Follow the system's default device, and notice new devices.

        During the first opening, changes wait: it may have used the devices before them.
        """
        self._switches |= {switch.kind: switch for switch in self._device_watch.switches()}
        if self.opening is None or self._last_opened is not None:
            for switch in self._switches.values():
                self._follow(switch)
            self._switches.clear()
        if self._device_watch.devices_changed():
            self._retry_at = min(self._retry_at, now)
            self._devices_changed = True

    def _follow(self, switch: DeviceSwitch) -> None:
        side = self.card.streams.get(switch.kind)
        opened = self._last_opened
        in_use: str | None = None
        if side is not None:
            in_use = None if side.is_direct else side.name
        elif self.opening is not None and opened is not None:
            in_use = opened.input_name if switch.kind == "input" else opened.output_name
        if switch.title:
            self._deviceless -= {switch.kind}
        if in_use in (None, switch.title) or switch.kind in self._deviceless:
            return
        if switch.title:
            if side is not None:
                side.name = switch.title
            self._emit(Switched(switch.kind, switch.title))
        else:
            self._deviceless |= {switch.kind}
        self._user.streams_moved()
        if switch.reopen:
            self._must_reopen |= {switch.kind}
            self._list_is_stale |= self._device_watch.needs_refresh

    # ----------------------------------------------------------------- reports

    def _is_certain(self) -> bool:
        """True if the microphone delivers, and sides that stopped run again or count as missing."""
        microphone, watchdog = self.card.microphone, self._watchdog
        if not watchdog.healthy and not watchdog.missing:
            return False
        return microphone is None or microphone.runs or "input" in watchdog.missing

    def _report_card(self) -> None:
        """Report which devices work, and why the others do not."""
        self._report_due = False
        card, missing = self.card, self._watchdog.missing
        speaker = self.speaker
        microphone = None if "input" in missing else card.microphone
        problem, hint = card.stall_problem(missing) if missing else card.problem()
        opened = Opened(
            microphone.name if microphone else self._closed_name,
            speaker.name if speaker else None,
            speaker.latency * 1000 if speaker else 0.0,
            problem,
            hint,
            self._user.echo_canceller(),
        )
        last, self._last_opened = self._last_opened, opened
        if last is None or opened.problem != last.problem or not opened.problem:
            self._emit(opened)

    @staticmethod
    def _replaced(card: SoundCard) -> frozenset[Kind]:
        """Return the sides on the default device, because the named one is absent."""
        return frozenset(kind for kind, each in card.streams.items() if not each.is_chosen)

    def _report_replaced(self, card: SoundCard) -> None:
        """Report once that the default device replaces a named one."""
        names = {"input": self._settings.input_device, "output": self._settings.output_device}
        for kind in self._replaced(card) - self._reported_absent:
            noun = device_list.NOUNS[kind]
            self._emit(
                Problem(
                    f"The {noun} {names[kind]!r} is absent. Using {card.streams[kind].name}.",
                    f"Connect it to use it, or forget it with --{kind}-device default.",
                )
            )
        self._reported_absent = self._replaced(card)

    def _report_problem(self, text: str) -> None:
        if text != self._last_problem:
            self._last_problem = text
            self._emit(Problem(text))
