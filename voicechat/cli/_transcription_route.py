"""The two ways to transcribe: recordings as a whole, and speech passage by passage.

Passages come from the microphone, from sound without a header, and from one WAV file or pipe for
which no option of recordings was typed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from voicechat.cli.command import load_options
from voicechat.core.text import clean, one_of
from voicechat.errors import UsageError

if TYPE_CHECKING:
    from voicechat.cli._recording_run import RecordingRequest
    from voicechat.providers.transcription_service import Times, TranscriptionWishes
    from voicechat.transcription.transcript_formats import TranscriptFormat

MOST_LIVE_BYTES: Final = 25_000_000
"""Largest WAV file whose passages are printed one by one: they take half of its length."""

_UNITS = ("segment", "word")
_LEAST_HEAD = 36
"""Bytes that tell a WAV file with PCM from other formats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptionRoute:
    """The typed options of `voicechat transcribe`."""

    sources: tuple[str, ...]
    live: bool
    once: bool
    raw: bool
    as_json: bool
    language: str | None
    logprobs: bool
    form: str | None
    prompt: str | None
    keywords: str | None
    diarize: bool
    timestamps: str | None
    out_dir: Path | None
    jobs: int
    is_base64: bool

    def check(self) -> None:
        """Raise `UsageError` for options that contradict each other."""
        if self.live and self.sources:
            raise UsageError(
                f"Use either {'--once' if self.once else '--live'} or a file, not both."
            )
        if self.live and self.raw:
            raise UsageError("Use either --live or --raw, not both.")
        if not self.live and not self.sources:
            raise UsageError("There is nothing to transcribe.", "Name a recording, or use --live.")
        if (self.live or self.raw) and (option := self._recording_option):
            other = "--live" if self.live else "--raw"
            raise UsageError(f"{option} is for recordings.", f"Leave {other} out.")
        self._check_sources()
        self._check_values()

    def _check_sources(self) -> None:
        if self.raw and len(self.sources) > 1:
            raise UsageError("--raw takes one file.")
        if "-" in self.sources and _is_terminal():
            raise UsageError(
                "Standard input is a terminal.", "Name a recording, or use --live to speak."
            )
        if self.sources.count("-") > 1:
            raise UsageError("Standard input can be transcribed once.", "Name - only once.")
        if len(self.sources) > 1 and self.out_dir is None:
            raise UsageError(
                "Several recordings need a folder for their transcripts.", "Add --out-dir FOLDER."
            )

    def _check_values(self) -> None:
        from voicechat.transcription.transcript_formats import TRANSCRIPT_FORMATS

        if self.form is not None and self.form not in TRANSCRIPT_FORMATS:
            raise UsageError(
                f"There is no format {clean(self.form)[:40]!r}.",
                f"Choose {one_of(TRANSCRIPT_FORMATS)}.",
            )
        if self.timestamps is not None and self.timestamps not in _UNITS:
            raise UsageError("--timestamps is either word or segment.")

    @property
    def _recording_option(self) -> str:
        """The first typed option that only recordings have; empty if there is none."""
        typed = {
            "--format": self.form,
            "--prompt": self.prompt,
            "--keywords": self.keywords,
            "--diarize": self.diarize,
            "--timestamps": self.timestamps,
            "--out-dir": self.out_dir,
            "--base64": self.is_base64,
        }
        return next((name for name, value in typed.items() if value), "")

    def run(self, flags: Mapping[str, object]) -> int:
        """Transcribe; the exit code. flags: the typed settings. Raises `VoicechatError`."""
        head = b""
        if not (self.live or self.raw):
            is_recording, head = self._is_recording()
            if is_recording:
                from voicechat.cli._recording_run import transcribe_recordings

                return transcribe_recordings(load_options(flags), self._request(head))
        return self._transcribe_live(flags, head)

    def _is_recording(self) -> tuple[bool, bytes]:
        """Return True if the sources are transcribed as a whole, and what was read of a pipe."""
        from voicechat.transcription import recording_format, recordings

        source = self.sources[0]
        if self._recording_option or len(self.sources) > 1 or recordings.is_url(source):
            return True, b""
        if source == recordings.STDIN:
            head = _read_head(recording_format.HEAD_BYTES)
            form = recording_format.recognized(head)
            if form is None:
                _refuse_text(head)
            return form is not None and not form.is_pcm, head
        found = recordings.named_file(Path(source))
        is_long = found.size > MOST_LIVE_BYTES
        return is_long or not found.format.is_pcm, b""

    def _request(self, head: bytes) -> RecordingRequest:
        from voicechat.cli._recording_run import RecordingRequest

        form = self.form or ("json" if self.as_json else "txt")
        return RecordingRequest(
            self.sources,
            self._wishes(form),
            cast("TranscriptFormat", form),
            self.out_dir,
            self.jobs,
            self.is_base64,
            head,
        )

    def _wishes(self, form: str) -> TranscriptionWishes:
        from voicechat.providers.transcription_service import TranscriptionWishes
        from voicechat.transcription.transcript_formats import TIMED_FORMATS

        words = tuple(word.strip() for word in (self.keywords or "").split(","))
        times = self.timestamps or ("segment" if form in TIMED_FORMATS else "")
        return TranscriptionWishes(
            self.language,
            self.prompt,
            tuple(filter(None, words)),
            self.diarize,
            cast("Times", times),
            self.logprobs,
        )

    def _transcribe_live(self, flags: Mapping[str, object], head: bytes) -> int:
        from voicechat.cli import _transcription_run as transcription_run
        from voicechat.cli.talk import device_name
        from voicechat.config import remembered_devices

        options = load_options(flags)
        if self.live:
            options = remembered_devices.with_devices(options, flags, device_name)
        request = transcription_run.TranscribeRequest(
            self.sources[0] if self.sources else None,
            self.language,
            self.as_json,
            self.logprobs,
            self.raw,
            self.once,
            head,
        )
        return transcription_run.transcribe(options, request)


def _is_terminal() -> bool:
    try:
        return os.isatty(0)
    except OSError:
        return False


def _refuse_text(head: bytes) -> None:
    """Raise `UsageError` if a pipe carries text: as sound it would be noise."""
    from voicechat.transcription import recording_format

    what = recording_format.described(head)
    if len(head) >= _LEAST_HEAD and what.endswith("recording"):
        raise UsageError(f"Standard input {what}.", "If it is raw PCM, add --raw.")


def _read_head(most: int) -> bytes:
    """Read the beginning of standard input: enough to tell its format."""
    head = b""
    try:
        while len(head) < _LEAST_HEAD and (piece := os.read(0, most - len(head))):
            head += piece
    except OSError as error:
        raise UsageError(f"Standard input cannot be read: {error.strerror}.") from None
    return head
