"""From the microphone ring to blocks for the provider: rate, echo, mute, voice activity.

Everything between the device and `MicBlock` runs at 16 kHz in 10 ms frames, the rate shared by the
echo canceller, the VAD and the recognizers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np

from voicechat.audio.capture.aec_warm_start import PAST
from voicechat.audio.capture.double_talk import DoubleTalkSwitch, extend_back, uncancelled
from voicechat.audio.capture.echo_canceller import FRAME, HALF_DUPLEX, canceller
from voicechat.audio.capture.echo_detector import SILENT, BypassableCanceller, Convergence
from voicechat.audio.capture.echo_guard import EchoGuard
from voicechat.audio.capture.enhancement import UNAVAILABLE, Enhancer, enhancers
from voicechat.audio.capture.far_end import FarEnd, SampleQueue
from voicechat.audio.capture.frame_pair import FramePair, LinearResult, VoiceActivity
from voicechat.audio.capture.linear_echo import LinearEcho
from voicechat.audio.capture.voice_activity import RATE, EndOfSpeech, VoiceGate
from voicechat.audio.devices.card import SoundCard
from voicechat.audio.devices.streams import SampleRing
from voicechat.audio.messages import AudioSettings, EchoGuarded, Mute
from voicechat.core.effects import CloseMic
from voicechat.core.inputs import MicBlock, VoiceEnded
from voicechat.speech.pcm import (
    FULL_SCALE,
    Resampler,
    Samples,
    amplitude,
    dbfs,
    loudest,
    peak_dbfs,
    peaks_dbfs,
    rms,
)

_ZERO_GAP_S: Final = 0.5
_PREROLL_MS: Final = 300
_MAX_HELD: Final = 90
"""Most frames held until the echo detector decides."""
_SILENT_DB: Final = -56.0
_ACTIVE_FRAMES: Final = 200
"""Frames after the last possible voice during which each block is delivered at once."""
_QUIET_BLOCKS: Final = 10
"""Blocks delivered together while it is quiet."""
_BEFORE: Final = 24
"""Frames before the held ones that show if they are an echo."""
_NO_ECHO_FRAMES: Final = 100
"""Silent far-end frames after which no echo is left.

The linear filter and the memory of the echo detector are shorter.
"""

_TAIL_FRAMES: Final = 25
"""Silent far-end frames, beyond the delay of the echo, after which the sound of the microphone is
delivered as it is: the canceller fades in the first 70 ms of a voice after an echo.
"""


class Capture:
    """Microphone processing. Single thread; call `reconfigure` when the devices change."""

    def __init__(self, settings: AudioSettings, above_floor_db: float) -> None:
        self._block: Final = settings.input_rate * settings.block_ms // 1000
        self._rate: Final = settings.input_rate
        self._active_frames = _ACTIVE_FRAMES
        self._enabled: Final = settings.echo_cancel
        self.muted = False
        self.closed = False
        self.speaker_busy = False
        """Set while the speaker plays, or is about to."""
        self._enhancers: list[Enhancer] = []
        self._unavailable: list[tuple[str, str]] = []
        try:
            self._enhancers = enhancers(settings)
        except ImportError:
            self._unavailable.append(UNAVAILABLE)
        self._gate = VoiceGate(above_floor_db)
        self._end_of_speech = EndOfSpeech()
        self._ended: list[VoiceEnded] = []
        self._guarded = EchoGuarded(on=False, raised=False)
        self._last_at = 0.0
        """Monotonic time in s of the newest sample that was processed."""
        self.zeros_s = 0.0
        """Seconds of only zeros that the device has delivered up to now."""
        self.zero_gaps = 0
        """Number of times that sound followed at least half a second of zeros."""
        self._preroll: deque[MicBlock] = deque(maxlen=max(1, _PREROLL_MS // settings.block_ms))
        self._output_resampler = Resampler(RATE, settings.input_rate)
        self.level = self.peak = self.far_level = self.far_peak = -100.0
        self.reconfigure(RATE, RATE)
        if not self.canceller.full_duplex:
            self._unavailable.append(HALF_DUPLEX)

    def reconfigure(self, microphone_rate: int, speaker_rate: int) -> None:
        """Reset echo cancellation for streams at these rates in Hz."""
        best = canceller(self._enabled)
        self._bypassable = BypassableCanceller(best) if self._enabled and best.full_duplex else None
        self.canceller = self._bypassable or best
        self._linear = LinearEcho()
        self._double_talk, self._after_echo = DoubleTalkSwitch(), DoubleTalkSwitch()
        self.convergence = Convergence()
        self.guard = EchoGuard()
        self._near_resampler = Resampler(microphone_rate, RATE)
        self._far_resampler = Resampler(speaker_rate, RATE)
        self._near_step = microphone_rate // 100
        self._far_step = speaker_rate // 100
        self._near, self._ready = SampleQueue(), SampleQueue()
        self._processed: list[Samples] = []
        self._far = FarEnd(microphone_rate, speaker_rate)
        self._reference: SampleRing | None = None
        self._held: list[FramePair] = []
        self._past: deque[FramePair] = deque(maxlen=PAST)
        self._is_direct = False
        """True while the sound of the microphone passes without the delay of the canceller."""
        self._skipped_frames = 0

    def stopped(self, heard: Mapping[str, float]) -> None:
        """Note that playback was stopped; `heard`: position in ms of each item."""
        started = [heard_ms for heard_ms in heard.values() if heard_ms > 0]
        if started and self._bypassable is not None and not self.muted and not self.closed:
            has_echo = self._bypassable.delay is not None
            self.guard.stopped(started[-1], has_echo=has_echo)

    @property
    def may_echo(self) -> bool:
        """True if an echo was found, or is being looked for."""
        bypassable = self._bypassable
        return bypassable is not None and (bypassable.delay is not None or bypassable.undecided)

    def forget_far_end(self) -> None:
        """Align both sides again when the speaker's stream delivers the next time."""
        self._reference = None

    def realign(self) -> None:
        """Realign both sides after the streams were reopened."""
        self._far.realign()
        self._linear.reopened()
        self.disturb()

    def unavailable(self) -> Iterator[tuple[str, str]]:
        """Yield each requested feature that is unavailable, once: sentence and remedy."""
        while self._unavailable:
            yield self._unavailable.pop()

    def apply(self, command: Mute | CloseMic) -> None:
        """Apply `Mute` (silence instead of sound) or `CloseMic` (no blocks)."""
        if isinstance(command, Mute):
            self.muted = command.on
        else:
            self.closed = command.closed

    def drop_preroll(self) -> None:
        """Drop the sound before the microphone opens, because its stream has a gap there."""
        self._preroll.clear()

    @property
    def converged(self) -> bool:
        """True if the signal has no significant echo."""
        return not self._enabled or self._no_echo or self.convergence.reached

    @property
    def _no_echo(self) -> bool:
        """True if the echo detector found no echo to cancel."""
        return self._bypassable is not None and self._bypassable.bypassed

    @property
    def quiet(self) -> bool:
        """True if there was no possible voice for two seconds."""
        return not self._active_frames

    @property
    def can_batch(self) -> bool:
        """True if it is quiet and there is no echo that has to be kept aligned."""
        return self.quiet and (self._no_echo or not self._enabled or self.speaker_silent)

    @property
    def speaker_silent(self) -> bool:
        """True if the speaker plays nothing, and no echo is left of what it played."""
        return not self.speaker_busy and self._far.silent_frames > _NO_ECHO_FRAMES

    @property
    def activity_rms(self) -> float:
        """RMS at int16 scale above which 10 ms may be a voice."""
        return FULL_SCALE * amplitude(self._gate.activity_db)

    def can_wait(self, microphone: SampleRing) -> bool:
        """True if the waiting sound has no possible voice and can be processed later in a batch.

        While an echo has to be kept aligned, nothing waits.
        """
        count = microphone.available // self._near_step
        waiting = microphone.peek(count * self._near_step) if self.can_batch else None
        return waiting is not None and loudest(waiting, count) <= self._gate.activity_db

    def listen(self, card: SoundCard, now: float, *, wait: bool) -> list[VoiceActivity]:
        """Process what both streams of the card hold; return the voice activity of each 10 ms.

        `now`: monotonic s. With `wait`, quiet sound may stay in the ring for a larger batch. Call
        `deliver` afterward.
        """
        microphone = card.microphone
        if wait and microphone is not None and self.can_wait(microphone.ring):
            return []
        if card.speaker is not None:
            self.take_far_end(card.speaker.reference)
        if microphone is None:
            return []
        ring = microphone.ring
        voices = []
        for voice in self.frames(ring):
            voices.append(voice)
            ended_at = self._end_of_speech.frame(voice.sure, now)
            if ended_at is not None:
                self._ended.append(VoiceEnded(ended_at))
        self._last_at = ring.last_at - ring.available / microphone.rate
        return voices

    def deliver(self) -> list[EchoGuarded | VoiceEnded | MicBlock]:
        """Return the finished blocks, and before them the ends of speech and a changed guard."""
        ready: list[EchoGuarded | VoiceEnded | MicBlock] = []
        guarded = EchoGuarded(self.guard.active, self.guard.raised)
        if guarded != self._guarded:
            self._guarded = guarded
            ready.append(guarded)
        ready += [*self._ended, *self.blocks(self._last_at)]
        self._ended.clear()
        return ready

    def take_far_end(self, reference: SampleRing) -> None:
        """Take what was handed to the speaker since the last call."""
        count = reference.available // self._far_step
        if count and (played := reference.read(count * self._far_step)) is not None:
            if reference is not self._reference:
                self._reference = reference
                self.realign()
            self.far_level = max(dbfs(played), self.far_level - 3 * count)
            self.far_peak = max(peak_dbfs(played), self.far_peak - count)
            self._far.put(self._far_resampler.convert(played))

    def frames(self, microphone: SampleRing) -> Iterator[VoiceActivity]:
        """Process the microphone ring; yield the voice activity of each 10 ms."""
        count = microphone.available // self._near_step
        if count and (taken := microphone.read(count * self._near_step)) is not None:
            sounds = bool(taken.any())
            self.zero_gaps += sounds and self.zeros_s >= _ZERO_GAP_S
            self.zeros_s = 0.0 if sounds else self.zeros_s + count / 100
            self._near.put(self._near_resampler.convert(taken))
        self._far.align(len(self._near), self._reference.early_s if self._reference else 0.0)
        if self._far.track(microphone, len(self._near), self._reference):
            self.disturb()
        # Frames are held only until an echo is known.
        if self._far.rewritten and self._bypassable is not None and not self._held:
            self._linear.far_end_shifted(self._far.shifted, self._far.played)
            self._bypassable.replace_far(self._far.played)
        if self._passes_through or self._is_silent_without_echo:
            yield from self._pass_through()
        while not self._waits_for_far_end and (near := self._near.take(FRAME)) is not None:
            far = self._next_far_end()
            self._held.append(FramePair(near, far, self._clean(near, far), self.muted))
            if not self._must_wait(near):
                yield from self._process_held()

    def _next_far_end(self) -> Samples:
        drift = self._linear.detector.drift
        rate = drift.rate if self._far.silent_frames <= _BEFORE else drift.certain_rate
        far = self._far.next(rate, self._linear.delay)
        if self._far.later:
            self._linear.far_end_later(self._far.later)
            self._far.later = 0
        return far

    @property
    def _waits_for_far_end(self) -> bool:
        return self.speaker_busy and not self._no_echo and self._far.is_late(len(self._near))

    @property
    def _passes_through(self) -> bool:
        """True if sound is delivered unchanged: the speaker is silent and left no echo."""
        guard, bypassable = self.guard, self._bypassable
        if not self.speaker_silent or self.muted or self._held or self._enhancers:
            return False
        if guard.active or guard.gated or guard.held or not self._far.is_silent:
            return False
        if bypassable is None:
            return True
        is_known = self._linear.delay == bypassable.delay
        is_settled = is_known and not bypassable.undecided and not self._linear.detector.warm
        return is_settled and (self._is_direct or bypassable.bypassed)

    @property
    def _is_silent_without_echo(self) -> bool:
        """True if the microphone is silent under playback that leaves no echo."""
        if self.muted or self._held or self._enhancers or self._skipped_frames:
            return False
        if not self._no_echo or not self.guard.rests or not self.convergence.reached:
            return False
        count = len(self._near) // FRAME
        return count > 0 and loudest(self._near.peek(count * FRAME), count) < _SILENT_DB

    def _pass_through(self) -> Iterator[VoiceActivity]:
        """Process all complete frames at once, as `_process_held` does one by one."""
        count = len(self._near) // FRAME
        sound = self._near.take(count * FRAME) if count else None
        if sound is None:
            return
        frames = sound.reshape(count, FRAME)
        pairs = [FramePair(near, self._next_far_end(), near, False) for near in frames]
        self._past.extend(pairs)
        if self._bypassable is None or self._far.silent_frames > _NO_ECHO_FRAMES:
            self._skipped_frames += count
        else:
            self._bypassable.pass_by(sound, np.concatenate([pair.far for pair in pairs]))
        self._processed.append(sound)
        detects = not self.closed
        for peak, sure in zip(peaks_dbfs(frames), self._gate.judge(frames), strict=True):
            self.peak = max(peak, self.peak - 1)
            self._note_level(self._gate.level, sure)
            yield VoiceActivity(sure and detects, sure and detects)

    def _note_level(self, level: float, seems: bool) -> None:
        """Note the level in dBFS of a frame, and if it seems to have a voice."""
        self.level = max(level, self.level - 3)
        active = seems or level > self._gate.activity_db
        self._active_frames = _ACTIVE_FRAMES if active else max(0, self._active_frames - 1)

    def blocks(self, last_at: float) -> Iterator[MicBlock]:
        """Yield the finished blocks; `last_at` is the time of the newest sample of the ring.

        While it is quiet several blocks go together, because each costs the whole path to the
        provider. A closed microphone yields nothing; once it opens, the last 300 ms come first.
        """
        if self._processed:
            self._ready.put(self._output_resampler.convert(np.concatenate(self._processed)))
            self._processed.clear()
        size = self._block
        if self.quiet and not self.closed:
            size *= _QUIET_BLOCKS
        while (block := self._ready.take(size)) is not None:
            waiting = len(self._held) + len(self.guard.held)
            at = last_at - len(self._ready) / self._rate - waiting / 100
            mic_block = MicBlock(bytes(2 * size) if self.muted else block.tobytes(), at)
            if self.closed:
                self._preroll.append(mic_block)
                continue
            while self._preroll:
                yield self._preroll.popleft()
            yield mic_block

    def _must_wait(self, near: Samples) -> bool:
        """True if sound under the first playback waits for the echo detector.

        Until then it is unknown whether the canceller removes an echo or the user's voice.
        """
        undecided = self._bypassable is not None and self._bypassable.undecided
        if not undecided or len(self._held) >= _MAX_HELD:
            return False
        return len(self._held) > 1 or dbfs(near) > _SILENT_DB

    def _process_held(self) -> Iterator[VoiceActivity]:
        """Process the held frames, with the canceller's output or without it."""
        self._follow_echo()
        if len(self._held) > 1:
            self._undo_cancellation()
        heard = [self._without_echo(pair) for pair in self._held]
        linears = [self._run_linear_filter(*pair) for pair in zip(self._held, heard, strict=True)]
        has_voices = [linear is not None and linear.has_voice for linear in linears]
        if any(has_voices):
            has_voices = extend_back(has_voices)
        for pair, sound, linear, has_voice in zip(
            self._held, heard, linears, has_voices, strict=True
        ):
            self.peak = max(peak_dbfs(sound), self.peak - 1)
            voice = self._detect_voice(pair, sound, linear)
            selected = sound
            if linear is not None and not self._is_muted(pair):
                selected = self._double_talk.choose(sound, linear.residue, linear.clean, has_voice)
            enhanced = selected
            for enhance in self._enhancers:
                enhanced = enhance(enhanced)
            if self.guard.active or self.guard.gated or self.guard.held:
                without_voice = enhanced if selected is sound else sound
                self._processed.extend(self.guard.pass_on(enhanced, without_voice))
            else:
                self._processed.append(enhanced)
            yield voice
        self._past.extend(self._held)
        self._held.clear()

    def _follow_echo(self) -> None:
        """Let the linear filter start with an echo that was just found, or move with it."""
        delay = self._bypassable.delay if self._bypassable is not None else None
        if delay == self._linear.delay:
            return
        if self._linear.delay is None:
            self.guard.found()
        if self._linear.follow(delay, self._past, self._held):
            self.disturb()

    def _undo_cancellation(self) -> None:
        """Take the held frames as they were if no echo was found and they are unlike an echo."""
        if self._bypassable is None or self._no_echo or self._bypassable.delay is not None:
            return
        self._held[:] = uncancelled(list(self._past)[-_BEFORE:], self._held)

    def _without_echo(self, pair: FramePair) -> Samples:
        heard = pair.near if self._no_echo else pair.cleaned
        return np.zeros_like(heard) if self._is_muted(pair) else heard

    def _is_muted(self, pair: FramePair) -> bool:
        """True if the frame was captured while muted, or the microphone is muted now."""
        return pair.muted or self.muted

    def _run_linear_filter(self, pair: FramePair, heard: Samples) -> LinearResult | None:
        """Run the linear filter; None if there is no echo to cancel."""
        if self._bypassable is None or self._no_echo:
            return None
        if (
            self._far.silent_frames > _NO_ECHO_FRAMES + len(self._held)
            and not self._linear.detector.warm
        ):
            return None
        result = self._linear.run(pair, heard)
        if self._linear.detector.jumped:
            self.disturb()
        return result

    def disturb(self) -> None:
        """Distrust the canceller if there is an echo: after a loss, a jump, or a false alarm."""
        self._linear.disturbed |= self.speaker_busy
        if self.may_echo:
            self.guard.disturb()
            self._linear.detector.disturb()

    def _detect_voice(
        self, pair: FramePair, heard: Samples, linear: LinearResult | None
    ) -> VoiceActivity:
        sure = self._gate.voiced(heard)
        if linear is not None:
            sure = sure and self.guard.allows(self._gate.level) and linear.allows(heard)
            sure = sure or linear.sure
        seems = sure if linear is None else linear.seems
        self._note_level(self._gate.level, seems)
        detects = not self.muted and not self.closed
        if self._bypassable is not None and self._far.silent_frames <= _NO_ECHO_FRAMES:
            levels = self._gate.level, self._gate.floor_db, self._far.loudest_handed_db
            hears = None
            if self.guard.active and linear is not None:
                hears = self._linear.judge(pair.near, linear, self._bypassable)
                if self._linear.jumped:
                    self.disturb()
            voiced = self.guard.observe(pair.near, pair.far, *levels, hears=hears)
            if self.guard.active:
                return VoiceActivity(voiced and detects, False, guarded=True)
            voiced = sure if linear is None else linear.may_be_voice(pair.near, sure)
            self.guard.gate(voiced, has_echo=self._bypassable.delay is not None)
            if self.guard.suspects and self._linear.has_jumped(self._bypassable):
                self.disturb()
        return VoiceActivity(sure and detects, seems and detects)

    def _clean(self, near: Samples, far: Samples) -> Samples:
        """Return the near-end frame without an echo, and unchanged where there can be none."""
        cleaned = self._cancel(near, far)
        if self._bypassable is None or self._bypassable.bypassed:
            return cleaned
        if self._far.silent_frames <= _NO_ECHO_FRAMES:
            self._is_direct = False
        elif self._is_direct or rms(near) < SILENT:
            # In a pause, 8 ms less are not heard.
            self._is_direct = True
            return near
        tail = (self._bypassable.delay or 0) // FRAME + _TAIL_FRAMES
        is_over = self._far.silent_frames > tail and not self.guard.unproved
        # After a loss, the aligned far end may end before its echo.
        is_over = is_over and self._far.loudest_handed_db <= _SILENT_DB
        return self._after_echo.choose(cleaned, near, clean=is_over, has_voice=True)

    def _cancel(self, near: Samples, far: Samples) -> Samples:
        bypassable = self._bypassable
        if bypassable is not None and self._far.silent_frames > _NO_ECHO_FRAMES:
            self._skipped_frames += 1
            if self._is_direct or bypassable.bypassed:
                return near
            return bypassable.inner.process(near, far)
        if bypassable is not None and self._skipped_frames:
            skipped = list(self._past)[-min(self._skipped_frames, _BEFORE) :]
            bypassable.catch_up([pair.near for pair in skipped])
            self._skipped_frames = 0
        cleaned = self.canceller.process(near, far)
        if not self._far.silent_frames:
            self.convergence.observe(near, far, cleaned)
        return cleaned
