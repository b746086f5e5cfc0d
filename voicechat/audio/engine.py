"""The audio engine: a loop between commands, events and the two device callbacks.

    command(...)  ──►  playback ──► queue ──► speaker callback
    tick(now)     ◄──  capture  ◄── ring  ◄── microphone callback

One thread calls `command`, and `tick` every few milliseconds; neither blocks. Calls that may hang
run as a `BackgroundCall`. The engine runs in a process of its own or on a thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from voicechat.audio.capture.barge_in import BargeIn, BargeInStep
from voicechat.audio.capture.capture import Capture, VoiceActivity
from voicechat.audio.devices import device_list
from voicechat.audio.devices.buffer_sizing import BufferSizing
from voicechat.audio.devices.default_device_watch import DefaultDeviceWatch, DeviceSwitch
from voicechat.audio.devices.streams import BackgroundCall, OutputStream, SoundCard
from voicechat.audio.messages import (
    AudioCommand,
    AudioEvent,
    AudioSettings,
    Cue,
    Levels,
    Mute,
    Opened,
    Problem,
    Quit,
    Switched,
    Underrun,
    Volume,
)
from voicechat.audio.playback import cue_sounds
from voicechat.audio.playback.playback import Playback
from voicechat.audio.playback.playout_tap import PlayoutTap
from voicechat.core.effects import CloseMic, EndItem, Play, ResumePlayback, StopPlayback
from voicechat.core.inputs import LocalSpeech, LocalSpeechEnded, PlaybackStopped

REPORT_S: Final = 1 / 10
_TICK_S, _SHORT_TICK_S, _AFTER_BLOCK_S = 0.010, 0.005, 0.001
_QUIET_S: Final = 0.030
"""Speech is suspected after four frames of 10 ms, so the first three may come together."""
_STALE_S: Final = 3.0
_QUIET_DB: Final = -45.0
GAP_S: Final = 0.5
"""A stream without a callback for this long is dead, whatever PortAudio reports."""
HANG_S: Final = 1.5
"""A device call that takes longer hangs; only a new process helps then."""
_LARGE_BUFFER_S: Final = 0.1
"""A device with a larger buffer is silenced by discarding the buffer."""
_RETRIES_S: Final = (0.0, 0.5, 1.0, 1.0, 1.0, 1.0, 2.0, 5.0, 15.0)
_STALLED_S: Final = 1.5
"""A stream that still does not run this long after it was reopened counts as missing."""
_SETTLED_S: Final = GAP_S + 0.1
"""Seconds until it is certain which new streams run: each first fills its buffer."""
_LOST_SPEAKER_S: Final = 3.0
"""A lost speaker may return for this long before its queued sound is dropped."""


class Engine:
    """The audio engine; see the module. `hung` is set when the process must be replaced."""

    def __init__(self, settings: AudioSettings, emit: Callable[[AudioEvent], None]) -> None:
        self._settings: Final = settings
        self._emit: Final = emit
        self._playback = Playback(settings.output_rate)
        self._cues = cue_sounds.CueQueue()
        self._cue_gain = 1.0
        self._barge_in = BargeIn(settings.barge_in)
        self._capture = Capture(settings, self._barge_in.above_floor_db)
        self._playout_tap = PlayoutTap(settings.output_rate)
        self._device_watch = DefaultDeviceWatch(settings)
        self._switches: dict[device_list.Kind, DeviceSwitch] = {}
        self._must_reopen = False
        self._devices_changed = False
        self._card: SoundCard | None = None
        self._buffer_sizing = BufferSizing()
        self._opening: BackgroundCall[SoundCard] | None = BackgroundCall(self._open)
        self._aborting: BackgroundCall[float] | None = None
        self._deferred: list[AudioCommand] = []
        self._failures = 0
        self._retry_at = 0.0
        self._drop_at = 0.0
        self._opened_at = 0.0
        self._stalled_at = 0.0
        self._stalled: frozenset[device_list.Kind] = frozenset()
        self._devices = (("", 0), ("", 0))
        self._last_opened: Opened | None = None
        self._reported_at = 0.0
        self._ticked_at = time.monotonic()
        self._underruns = (0, 0.0)
        self._earlier_drops = (0, 0.0)
        self._last_problem = ""
        self.hung = False
        self.finished = False

    # ----------------------------------------------------------------- commands

    def command(self, command: AudioCommand) -> None:
        """Run a command now, or after the current stop has taken effect."""
        if self._playback.stopping or self._aborting is not None:
            self._deferred.append(command)
            return
        match command:
            case Play(item_id, pcm):
                self._playback.play(item_id, pcm, time.monotonic())
            case EndItem(item_id):
                self._playback.end(item_id)
            case StopPlayback():
                self._stop()
            case ResumePlayback():
                self._barge_in.decided(false_alarm=True, now=time.monotonic())
                self._playback.resume()
            case Volume(gain):
                self._cue_gain = min(1.0, max(0.0, gain))
                self._playback.volume(gain)
            case Cue(name):
                self._cues.add(name, time.monotonic())
                self._cue(time.monotonic())
            case Mute() | CloseMic():
                self._capture.apply(command)
            case Quit():
                self.finished = True

    def tick(self, now: float) -> None:
        """Do everything that is due at `now` (monotonic s)."""
        self._check_streams(now)
        self._drop_lost_speaker(now)
        self._playback.feed()
        self._cue(now)
        report = now - self._reported_at >= REPORT_S
        if self._card is not None:
            voices = self._capture.listen(self._card, now, wait=not report)
            for voice in voices:
                if voice.sure or voice.seems or not self._barge_in.can_skip:
                    self._judge_voice(voice, now)
            for captured in self._capture.deliver() if voices else ():
                self._emit(captured)
        for played in self._playout_tap.blocks(now):
            self._emit(played)
        self._finish_stop(now)
        for event in self._playback.events(now, progress=report):
            self._emit(event)
        if report:
            self._follow_default(now)
            self._report(now)

    def pause(self, now: float) -> float:
        """Return the seconds until the next `tick` is due: about when the next block arrives."""
        if self._opening is not None or self._aborting is not None or self._playback.stopping:
            return _SHORT_TICK_S
        microphone = self._card.microphone if self._card else None
        if microphone is None:
            return _TICK_S
        longest = _QUIET_S if self._capture.can_batch else _TICK_S
        wait = max(self._buffer_sizing.size.block_ms / 1000, longest)
        due = microphone.last_callback_at + wait + _AFTER_BLOCK_S
        return min(longest, max(_AFTER_BLOCK_S, due - now))

    def close(self) -> None:
        """Close the streams in the background, waiting at most half a second."""
        self._playback.close()
        card, self._card = self._card, None
        if card is not None:
            closing = BackgroundCall(card.close)
            while not closing.done and time.monotonic() - closing.began < 0.5:
                time.sleep(0.005)

    # ----------------------------------------------------------------- the speaker

    def _stop(self) -> None:
        self._barge_in.decided(false_alarm=False, now=time.monotonic())
        self._playback.stop(time.monotonic())
        self._discard_large_buffer()

    @property
    def _speaker(self) -> OutputStream | None:
        """The open speaker, unless it has stalled."""
        return self._card.speaker if self._card and "output" not in self._stalled else None

    def _discard_large_buffer(self) -> None:
        speaker = self._speaker
        if speaker is not None and speaker.latency > _LARGE_BUFFER_S and self._aborting is None:
            self._aborting = BackgroundCall(speaker.abort)

    def _finish_stop(self, now: float) -> None:
        silent_since: float | None = None
        if self._aborting is not None:
            if not self._aborting.done and now - self._aborting.began < HANG_S:
                return
            silent_since = self._aborting.result
            self._aborting = None
            if silent_since is not None:
                self._playout_tap.cut(silent_since)
        self._end_stop(self._playback.stopped(now, silent_since))

    def _end_stop(self, stopped: PlaybackStopped | None) -> None:
        if stopped is not None:
            self._emit(stopped)
        if self._deferred and not self._playback.stopping and self._aborting is None:
            deferred, self._deferred = self._deferred, []
            for command in deferred:
                self.command(command)

    def _cue(self, now: float) -> None:
        """Play the next cue once the previous one has ended."""
        speaker = self._card.speaker if self._card else None
        while (
            speaker is not None and not speaker.queue.cue_playing and (name := self._cues.next(now))
        ):
            sound = cue_sounds.synthesize(name, speaker.rate)
            if sound is not None:
                speaker.queue.play_cue(sound * self._cue_gain)

    # ----------------------------------------------------------------- the microphone

    def _judge_voice(self, voice: VoiceActivity, now: float) -> None:
        if not self._capture.canceller.full_duplex:
            return
        queue = self._playback.queue
        sounding = queue is not None and queue.sounding and self._playback.sounding
        converged = self._capture.converged
        step = self._barge_in.frame(voice.sure, sounding, converged, now, voice.seems)
        match step:
            case BargeInStep.DUCK:
                self._playback.duck(True)
                self._emit(LocalSpeech(confirmed=False))
            case BargeInStep.HOLD:
                self._playback.hold()
                self._discard_large_buffer()
                self._emit(LocalSpeech(confirmed=True))
            case BargeInStep.RESTORE:
                self._playback.resume()
                self._emit(LocalSpeechEnded())
            case BargeInStep.ENDED:
                self._emit(LocalSpeechEnded())

    # ----------------------------------------------------------------- the card

    def _open(self) -> SoundCard:
        return SoundCard(self._settings, self._buffer_sizing.size)

    def _reopen(self, old: SoundCard | None) -> SoundCard:
        if old is not None:
            old.close()
        device_list.refresh()
        return self._open()

    def _check_streams(self, now: float) -> None:
        """Use newly opened streams, and reopen dead ones."""
        pause = now - self._ticked_at
        self._ticked_at = now
        if self._opening is not None:
            if self._opening.done:
                self._finish_opening(self._opening, now)
            elif now - self._opening.began > HANG_S:
                self._emit(
                    Opened(
                        None, None, problem=device_list.SERVER_HANGS, hint=device_list.RESTART_HINT
                    )
                )
                self.hung = True
            return
        if pause > GAP_S / 2:
            self._reset_after_pause(now, pause)
        elif (
            (self._card is not None and self._needs_reopening(self._card, now))
            or self._changes_buffer_size(now)
            or self._must_reopen
            or self._retry_due(now)
        ):
            self._begin_reopening(now)

    def _follow_default(self, now: float) -> None:
        """Follow the system's default device, and notice new devices.

        During the first opening, changes wait: it may have used the devices before them.
        """
        self._switches |= {switch.kind: switch for switch in self._device_watch.switches()}
        if self._opening is None or self._last_opened is not None:
            for switch in self._switches.values():
                self._follow(switch)
            self._switches.clear()
        if self._device_watch.devices_changed():
            self._retry_at = min(self._retry_at, now)
            self._devices_changed = True

    def _follow(self, switch: DeviceSwitch) -> None:
        is_input = switch.kind == "input"
        card, opened = self._card, self._last_opened
        side = card and (card.microphone if is_input else card.speaker)
        if card is None and opened is not None:
            in_use = opened.input_name if is_input else opened.output_name
        else:
            in_use = side.name if side and not side.is_direct else None
        if in_use in (None, switch.title):
            return
        if side:
            side.name = switch.title
        if switch.title:
            self._emit(Switched(switch.kind, switch.title))
        self._capture.realign()
        self._must_reopen |= switch.reopen

    def _finish_opening(self, opening: BackgroundCall[SoundCard], now: float) -> None:
        self._opening = None
        if opening.result is None:
            problem = getattr(opening.error, "problem", str(opening.error))
            hint = getattr(opening.error, "hint", "")
            self._card = None
            self._report_opened(Opened(None, None, problem=problem, hint=hint))
        else:
            self._use_card(opening.result, now)

    def _use_card(self, card: SoundCard, now: float) -> None:
        self._card, self._opened_at = card, now
        self._device_watch.restart()
        speaker, microphone = card.speaker, card.microphone
        devices_now = (
            (microphone.name, microphone.rate) if microphone else ("", 16_000),
            (speaker.name, speaker.rate) if speaker else ("", 16_000),
        )
        self._capture.realign()
        if devices_now != self._devices:
            self._devices = devices_now
            self._capture.reconfigure(devices_now[0][1], devices_now[1][1])
        self._end_stop(self._playback.stopped(now, now))
        for text, hint in self._capture.unavailable():
            self._emit(Problem(text, hint))
        if not card.complete:
            self._stalled = frozenset()
        if "output" not in self._stalled:
            self._attach(now)
        self._report_card(card)

    def _attach(self, now: float) -> None:
        speaker = self._speaker
        if speaker is not None:
            self._playback.attach(speaker.queue, now)
            self._playout_tap.attach(speaker.monitor, speaker.rate)

    def _report_card(self, card: SoundCard) -> None:
        """Report which devices work, and why the others do not."""
        speaker = self._speaker
        microphone = None if "input" in self._stalled else card.microphone
        problem, hint = (
            card.stall_problem(self._stalled) if self._stalled else (card.problem, card.hint)
        )
        self._report_opened(
            Opened(
                microphone.name if microphone else None,
                speaker.name if speaker else None,
                speaker.latency * 1000 if speaker else 0.0,
                problem,
                hint,
                self._capture.canceller.name,
            )
        )

    def _needs_reopening(self, card: SoundCard, now: float) -> bool:
        """Return True if the card must be reopened because a callback has stopped."""
        silent = card.silent_for(GAP_S, now)
        if not silent:
            self._confirm_running(card, now)
            return False
        if not self._stalled_at:
            self._stalled_at = now
            stopped = card.subject(card.silent_for(GAP_S / 2, now))
            self._report_problem(f"{stopped} stopped; it is being reopened.", "")
        elif now - self._opened_at < _SETTLED_S:
            return False
        elif silent != self._stalled and now - self._stalled_at >= _STALLED_S:
            return self._mark_stalled(card, silent, now)
        return now >= self._retry_at and not (silent == self._stalled and self._is_audible())

    def _mark_stalled(
        self, card: SoundCard, silent: frozenset[device_list.Kind], now: float
    ) -> bool:
        """Continue without the stalled sides; return True if that takes reopening."""
        before, self._stalled = self._stalled, silent
        self._report_card(card)
        if "output" in before - silent:
            self._attach(now)
        return "output" in silent - before

    def _confirm_running(self, card: SoundCard, now: float) -> None:
        """Record that all streams run; a lasting recovery resets the failure count."""
        if card.oldest_callback_at() - self._opened_at <= GAP_S:
            return
        self._stalled_at = 0.0
        if card.complete:
            self._failures, self._last_problem = 0, ""
        if self._stalled:
            running, self._stalled = self._stalled, frozenset()
            if "output" in running:
                self._attach(now)
            self._report_card(card)

    def _changes_buffer_size(self, now: float) -> bool:
        """Return True if the card must be reopened with another block size."""
        speaker = self._speaker
        if speaker is None or self._playback.stopping:
            return False
        busy = speaker.queue.cue_playing or not self._playback.idle
        return self._buffer_sizing.changes(speaker, busy, not self._mic_is_active(), now)

    def _retry_due(self, now: float) -> bool:
        """Return True if it is time to look for a missing device. Never while that is audible."""
        card = self._card
        if card is not None and card.complete:
            return False
        return now >= self._retry_at and not self._is_audible()

    def _is_audible(self) -> bool:
        """True if reopening the streams would be audible.

        A room is seldom silent, so after a device change only playback counts.
        """
        audible = self._speaker is not None and self._playback.sounding
        return audible or (self._mic_is_active() and not self._devices_changed)

    def _mic_is_active(self) -> bool:
        """True if an open microphone hears more than silence."""
        return (
            self._card is not None
            and self._card.microphone is not None
            and self._capture.peak > _QUIET_DB
        )

    def _begin_reopening(self, now: float) -> None:
        card, self._card = self._card, None
        self._must_reopen = self._devices_changed = False
        if card is not None and card.speaker is not None:
            self._drop_at = now if "output" in self._stalled else now + _LOST_SPEAKER_S
            drops, drops_ms = self._earlier_drops
            dropped = card.speaker.underflows
            self._earlier_drops = (drops + dropped, drops_ms + dropped * card.speaker.block_ms)
        self._failures += 1
        self._retry_at = now + GAP_S + _RETRIES_S[min(self._failures, len(_RETRIES_S)) - 1]
        self._opening = BackgroundCall(lambda: self._reopen(card))

    def _drop_lost_speaker(self, now: float) -> None:
        """Without a speaker for three seconds, drop queued sound and finish ended items."""
        gone = self._opening is None and self._speaker is None
        if gone and now >= self._drop_at:
            for event in self._playback.detach():
                self._emit(event)

    def _reset_after_pause(self, now: float, pause: float) -> None:
        """Excuse a pause of the loop itself: callbacks may be fine, and old sound is dropped."""
        if pause > _STALE_S and self._card is not None and self._card.microphone is not None:
            self._card.microphone.ring.discard()
        for side in (self._card.speaker, self._card.microphone) if self._card else ():
            if side is not None:
                side.last_callback_at = now
        self._opened_at = now

    def _report_opened(self, opened: Opened) -> None:
        """Report opened devices, but not the same problem twice."""
        last, self._last_opened = self._last_opened, opened
        if last is None or opened.problem != last.problem or not opened.problem:
            self._emit(opened)

    def _report_problem(self, text: str, hint: str) -> None:
        if text != self._last_problem:
            self._last_problem = text
            self._emit(Problem(text, hint))

    # ----------------------------------------------------------------- reports

    def _report(self, now: float) -> None:
        elapsed, self._reported_at = now - self._reported_at, now
        capture = self._capture
        self._emit(Levels(capture.level, capture.far_level, capture.peak, capture.far_peak))
        capture.level = capture.far_level = -100.0
        if self._playback.sounding:
            self._playback.decay(min(1.0, elapsed))
        underruns = self._totals()
        if underruns != self._underruns:
            self._underruns = underruns
            self._emit(Underrun(*underruns))

    def _totals(self) -> tuple[int, float]:
        gaps, lost = self._playback.totals()
        dropped, dropped_ms = self._earlier_drops
        speaker = self._card.speaker if self._card else None
        if speaker is not None:
            dropped += speaker.underflows
            dropped_ms += speaker.underflows * speaker.block_ms
        return gaps + dropped, lost + dropped_ms
