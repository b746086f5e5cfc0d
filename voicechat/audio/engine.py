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
from voicechat.audio.capture.capture import Capture
from voicechat.audio.capture.frame_pair import VoiceActivity
from voicechat.audio.devices import device_list
from voicechat.audio.devices.background_call import BackgroundCall
from voicechat.audio.devices.buffer_sizing import BufferSizing
from voicechat.audio.devices.card import SoundCard
from voicechat.audio.devices.device_list import Kind
from voicechat.audio.devices.speaker_parking import SpeakerParking
from voicechat.audio.devices.stream_supervisor import HANG_S, StreamSupervisor
from voicechat.audio.devices.streams import OutputStream
from voicechat.audio.messages import (
    AudioCommand,
    AudioEvent,
    AudioSettings,
    Cue,
    DigitalSilence,
    Levels,
    Mute,
    Problem,
    Quit,
    Underrun,
    Volume,
)
from voicechat.audio.playback import cue_sounds
from voicechat.audio.playback.playback import Playback
from voicechat.audio.playback.playout_tap import PlayoutTap
from voicechat.core.effects import CloseMic, EndItem, Play, ResumePlayback, StopPlayback
from voicechat.core.inputs import (
    LocalSpeech,
    LocalSpeechEnded,
    MicBlock,
    PlaybackFinished,
    PlaybackStopped,
)

REPORT_S: Final = 1 / 10
_LEVELS_S: Final = 1.0
"""Longest time between two reports of the same levels."""
_TICK_S, _SHORT_TICK_S, _AFTER_BLOCK_S = 0.010, 0.005, 0.001
_QUIET_S: Final = 0.030
"""Longest wait while it is quiet, but an item or a cue is about to start or end."""
_IDLE_S: Final = 0.200
"""Longest wait while it is quiet and the speaker is silent."""
_EARLY_S: Final = 0.005
"""A report may be this early, so that it is made when sound is processed."""
_QUIET_DB: Final = -45.0
_OPENS_S: Final = 0.2
"""Seconds without a microphone, or before its first block, after which it is reported."""
PARK_S: Final = 5.0
"""Seconds after which the stream of an unused microphone is closed.

The system's indicator then goes off. Until then, a microphone that is opened delivers its last
300 ms first; afterward it starts with what it captures.
"""
_SILENCE_MS: Final = 200
"""Length of the blocks of silence while a muted microphone has no stream."""
_ZEROS_S: Final = 4.0
"""Seconds of only zeros after which a microphone counts as silent; most have noise."""
_GATED_ZEROS_S: Final = 60.0
"""The same for a microphone that delivers zeros between words, as some headsets do."""
_GATED_GAPS: Final = 2
"""Gaps of zeros after which a microphone counts as such a one."""
_LOST_SPEAKER_S: Final = 3.0
"""A lost speaker may return for this long before its queued sound is dropped."""


class Engine:
    """The audio engine; see the module."""

    def __init__(
        self,
        settings: AudioSettings,
        emit: Callable[[AudioEvent], None],
        wake: Callable[[], object],
    ) -> None:
        """`wake` ends the caller's pause early. It is called by a callback and must not block."""
        self._settings: Final = settings
        self._emit: Final = emit
        self._wake: Final = wake
        self._playback = Playback(settings.output_rate)
        self._cues = cue_sounds.CueQueue()
        self._cue_gain = 1.0
        self._barge_in = BargeIn(settings.barge_in)
        self._capture = Capture(settings, self._barge_in.above_floor_db)
        self._playout_tap = PlayoutTap(settings.output_rate)
        self._buffer_sizing = BufferSizing()
        self._streams = StreamSupervisor(settings, self._buffer_sizing.size, self, emit)
        self._parking = SpeakerParking()
        self._aborting: BackgroundCall[float] | None = None
        self._discards_again = False
        self._deferred: list[AudioCommand] = []
        self._drop_at = 0.0
        self._devices = (("", 16_000), ("", 16_000))
        self._reported_at = self._levels_at = 0.0
        self._commanded = False
        """True if a command ran since the last complete tick."""
        self._levels = Levels(0.0, 0.0)
        self._silent = False
        self.unheard = False
        """Set while nothing reads the events, because the program is suspended."""
        self._unused_since = self._silence_at = self._heard_at = time.monotonic()
        self._underruns = (0, 0.0)
        self._earlier_drops = (0, 0.0)
        self.finished = False

    # ----------------------------------------------------------------- commands

    def command(self, command: AudioCommand) -> None:
        """Run a command now, or after the current stop has taken effect."""
        self._commanded = True
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
                self._capture.disturb()
                self._playback.resume()
            case Volume(gain):
                self._cue_gain = min(1.0, max(0.0, gain))
                self._playback.volume(gain)
            case Cue(name):
                self._cues.add(name, time.monotonic())
                self._cue(time.monotonic())
            case Mute() | CloseMic():
                self._capture.apply(command)
                self._unused_since = self._heard_at = time.monotonic()
            case Quit():
                self.finished = True

    @property
    def hung(self) -> bool:
        """True when the process must be replaced."""
        return self._streams.hung

    def tick(self, now: float) -> None:
        """Do everything that is due at `now` (monotonic s)."""
        report = now - self._reported_at >= REPORT_S - _EARLY_S
        if not report and self._is_quiet:
            return
        commanded, self._commanded = self._commanded, False
        self._park_microphone(now)
        self._park_speaker(now, commanded=commanded)
        self._streams.tick(now)
        self._drop_lost_speaker(now)
        self._playback.feed()
        self._cue(now)
        speaker = self._streams.card.speaker
        self._capture.speaker_busy = speaker is not None and speaker.queue.busy
        voices = self._capture.listen(self._streams.card, now, wait=not report)
        self._playback.soften(self._capture.guard.unproved)
        for voice in voices:
            if voice.sure or voice.seems or not self._barge_in.can_skip:
                self._judge_voice(voice, now)
        for captured in self._capture.deliver() if voices else ():
            self._emit(captured)
        for played in self._playout_tap.blocks(now):
            self._emit(played)
        self._finish_stop(now)
        for event in self._playback.events(now, progress=report):
            if isinstance(event, PlaybackFinished):
                self._capture.guard.finished()
            self._emit(event)
        if report:
            self._streams.follow_default(now)
            self._check_silence()
            self._report(now)
        self._size_buffers(now)

    @property
    def _is_quiet(self) -> bool:
        """True if nothing happens but quiet sound that may wait."""
        streams = self._streams
        microphone, speaker = streams.card.microphone, streams.card.speaker
        return (
            microphone is not None
            and (speaker is None or self._buffer_sizing.has_seen(speaker))
            and not (self._commanded or self._aborting or streams.is_changing)
            and self._playback.steady
            and self._capture.can_wait(microphone.ring)
        )

    def pause(self, now: float) -> float:
        """Return the seconds until the next `tick` is due: about when the next block arrives."""
        is_calling = self._streams.opening is not None or self._parking.active
        if is_calling or self._aborting is not None or self._playback.stopping:
            return _SHORT_TICK_S
        microphone = self._streams.card.microphone
        if microphone is None:
            return _IDLE_S if self._playback.idle else _TICK_S
        longest = _TICK_S
        if self._capture.can_batch:
            longest = self._quiet_pause
            microphone.wake_above(self._capture.activity_rms, self._wake)
        wait = max(microphone.block_ms / 1000, longest)
        due = microphone.last_callback_at + wait + _AFTER_BLOCK_S
        return min(longest, max(_AFTER_BLOCK_S, due - now))

    @property
    def _quiet_pause(self) -> float:
        """Longest pause in seconds while the microphone is quiet; its callback ends it."""
        playback, capture = self._playback, self._capture
        if not playback.idle:
            return REPORT_S if playback.steady else _QUIET_S
        if not capture.speaker_silent:
            return _QUIET_S
        # What waits when a push-to-talk turn begins makes its pre-roll longer.
        return REPORT_S if capture.closed else _IDLE_S

    def close(self) -> None:
        """Close the streams in the background, waiting at most half a second."""
        self._playback.close()
        self._streams.close()

    # ----------------------------------------------------------------- the speaker

    def _stop(self) -> None:
        self._barge_in.decided(false_alarm=False, now=time.monotonic())
        self._playback.stop(time.monotonic())
        self._discard_large_buffer()

    def _discard_large_buffer(self) -> None:
        speaker = self._streams.speaker
        if speaker is None or speaker.parked or self._parking.active:
            return
        if speaker.has_large_buffer:
            self._discards_again = self._aborting is not None
            self._aborting = self._aborting or BackgroundCall(speaker.abort)

    def _finish_stop(self, now: float) -> None:
        silent_since: float | None = None
        if self._aborting is not None:
            if not self._aborting.done and now - self._aborting.began < HANG_S:
                return
            silent_since = self._aborting.result
            self._aborting = None
        self._end_stop(self._playback.stopped(now, silent_since))
        if self._discards_again and self._aborting is None:
            self._discards_again = False
            self._discard_large_buffer()

    def _end_stop(self, stopped: PlaybackStopped | None) -> None:
        if stopped is not None:
            self._capture.stopped(stopped.heard)
            self._emit(stopped)
        if self._deferred and not self._playback.stopping and self._aborting is None:
            deferred, self._deferred = self._deferred, []
            for command in deferred:
                self.command(command)

    def _cue(self, now: float) -> None:
        """Play the next cue once the previous one has ended."""
        speaker = self._streams.card.speaker
        while (
            speaker is not None and not speaker.queue.cue_playing and (name := self._cues.next(now))
        ):
            sound = cue_sounds.synthesize(name, speaker.rate)
            if sound is not None:
                speaker.queue.play_cue(sound * self._cue_gain)

    def _park_speaker(self, now: float, *, commanded: bool) -> None:
        """Stop the stream of a speaker that plays nothing while it is quiet; start it on a voice.

        A start changes the delay of an echo a little, so with an echo the stream runs on.
        """
        capture, speaker = self._capture, self._streams.speaker
        changes = self._streams.is_changing or self._aborting is not None
        rests = self._playback.idle and capture.quiet and capture.speaker_silent
        needed = commanded or changes or not rests or capture.may_echo
        if speaker is not None and speaker.parked:
            capture.forget_far_end()
        if not self._parking.use(speaker, now, needed=needed):
            self._streams.reopen(frozenset(("output",)))

    # ----------------------------------------------------------------- the microphone

    def _park_microphone(self, now: float) -> None:
        """Close the stream of a microphone that is unused for `PARK_S`; open it when it is used.

        While it is muted, the provider still receives silence. Nothing is captured for a program
        that is suspended.
        """
        used = not self._capture.muted and not self._capture.closed and not self.unheard
        if used:
            self._unused_since = now
        microphone = self._streams.card.microphone
        runs = microphone is not None and microphone.runs
        if runs or not used:
            self._heard_at = now
        in_grace = not self.unheard and now - self._unused_since < PARK_S
        self._streams.use_microphone(used or in_grace)
        if not self._streams.microphone_closed or self._capture.closed or self.unheard:
            self._silence_at = now
        elif now - self._silence_at >= _SILENCE_MS / 1000:
            self._silence_at += _SILENCE_MS / 1000
            zeros = bytes(2 * self._settings.input_rate * _SILENCE_MS // 1000)
            self._emit(MicBlock(zeros, self._silence_at))

    def _judge_voice(self, voice: VoiceActivity, now: float) -> None:
        if not self._capture.canceller.full_duplex:
            return
        queue = self._playback.queue
        sounding = queue is not None and queue.sounding and self._playback.sounding
        converged = self._capture.converged
        step = self._barge_in.frame(
            voice.sure, sounding, converged, now, voice.seems, voice.guarded
        )
        match step:
            case BargeInStep.DUCK:
                self._playback.duck(True)
                speaker = self._streams.speaker
                is_grown = speaker is not None and speaker.has_grown_buffer
                if is_grown and not self._playback.is_handing_over:
                    self._discard_large_buffer()
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

    def _check_silence(self) -> None:
        """Report a microphone that delivers only zeros, and the end of that."""
        microphone = self._streams.card.microphone
        longest = _GATED_ZEROS_S if self._capture.zero_gaps >= _GATED_GAPS else _ZEROS_S
        silent = microphone is not None and self._capture.zeros_s >= longest
        if microphone is None or silent == self._silent:
            return
        self._silent = silent
        name = f"The microphone {microphone.name}"
        if silent:
            text, hint = f"{name} delivers only silence.", device_list.silence_hint()
            self._emit(DigitalSilence(False, text, hint))
        else:
            self._emit(DigitalSilence(True, f"{name} delivers sound."))

    # ----------------------------------------------------------------- the streams

    def streams_closing(self, card: SoundCard, now: float) -> None:
        """Keep the totals of a speaker that closes; see `StreamUser`."""
        if card.microphone is not None:
            self._capture.drop_preroll()
        speaker = card.speaker
        if speaker is not None:
            self._drop_at = now if self._streams.speaker is None else now + _LOST_SPEAKER_S
            self._keep_drops(speaker)

    def _keep_drops(self, speaker: OutputStream) -> None:
        drops, drops_ms = self._earlier_drops
        dropped = speaker.underflows
        self._earlier_drops = (drops + dropped, drops_ms + dropped * speaker.block_ms)

    def continue_on(self, speaker: OutputStream, now: float) -> bool:
        """Continue on a second speaker without a gap; see `StreamUser`."""
        old = self._streams.card.speaker
        if old is None or self._playback.stopping or self._aborting is not None:
            return False
        self._keep_drops(old)
        self._playback.attach(speaker.queue, now, joined=True)
        self._playout_tap.attach(speaker.monitor, speaker.rate)
        self._capture.realign()
        return True

    def streams_opened(self, card: SoundCard, kinds: frozenset[Kind], now: float) -> None:
        """Use newly opened streams; see `StreamUser`."""
        speaker, microphone = card.speaker, card.microphone
        devices_now = (
            (microphone.name, microphone.rate) if microphone else self._devices[0],
            (speaker.name, speaker.rate) if speaker else self._devices[1],
        )
        self._capture.realign()
        if devices_now != self._devices:
            self._devices = devices_now
            self._capture.reconfigure(devices_now[0][1], devices_now[1][1])
        for text, hint in self._capture.unavailable():
            self._emit(Problem(text, hint))
        if "output" in kinds:
            self._end_stop(self._playback.stopped(now, now))
            self._attach(now)

    def speaker_changed(self, now: float) -> None:
        """Continue on the open speaker, or drop the sound that a missing one holds."""
        if self._streams.speaker is None:
            self._drop_at = now
            self._streams.reopen(frozenset(("output",)))
        self._attach(now)

    def _attach(self, now: float) -> None:
        speaker = self._streams.speaker
        if speaker is not None:
            self._playback.attach(speaker.queue, now)
            self._playout_tap.attach(speaker.monitor, speaker.rate)

    def streams_moved(self) -> None:
        """Align both sides again; see `StreamUser`."""
        self._capture.realign()

    def is_playing(self) -> bool:
        """Return True if an open speaker is heard; see `StreamUser`."""
        return self._streams.speaker is not None and self._playback.sounding

    def is_hearing(self) -> bool:
        """Return True if an open microphone hears more than silence; see `StreamUser`."""
        return self._streams.card.microphone is not None and self._capture.peak > _QUIET_DB

    def echo_canceller(self) -> str:
        """Return the name of the echo canceller; see `StreamUser`."""
        return self._capture.canceller.name

    def _size_buffers(self, now: float) -> None:
        """Reopen the speaker if it needs another buffer size."""
        streams, speaker = self._streams, self._streams.speaker
        changes = streams.is_changing or self._aborting is not None
        if speaker is None or self._playback.stopping or changes:
            return
        if not speaker.has_reliable_times(now):
            return  # where another one would continue is unknown
        cue, busy = speaker.queue.cue_playing, not self._playback.idle
        quiet, gapless = not self.is_hearing(), streams.gapless and not cue
        if self._buffer_sizing.changes(speaker, busy or cue, quiet, now, gapless=gapless):
            streams.resize_speaker(self._buffer_sizing.size)

    def _drop_lost_speaker(self, now: float) -> None:
        """Without a speaker for three seconds, drop queued sound and finish ended items."""
        gone = self._streams.opening is None and self._streams.speaker is None
        if gone and now >= self._drop_at:
            for event in self._playback.detach():
                self._emit(event)

    # ----------------------------------------------------------------- reports

    def _report(self, now: float) -> None:
        elapsed, self._reported_at = now - self._reported_at, now
        capture = self._capture
        hears = now - self._heard_at < _OPENS_S
        levels = Levels(capture.level, capture.far_level, capture.peak, capture.far_peak, hears)
        if now - self._levels_at >= _LEVELS_S or levels.differ(self._levels):
            self._levels, self._levels_at = levels, now
            self._emit(levels)
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
        speaker = self._streams.card.speaker
        if speaker is not None:
            dropped += speaker.underflows
            dropped_ms += speaker.underflows * speaker.block_ms
        return gaps + dropped, lost + dropped_ms
