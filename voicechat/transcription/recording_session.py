"""What a program and the command share: recordings transcribed with the user's options."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from voicechat.config.options import Options
from voicechat.providers.transcription_catalog import RecordingChoice, recording_choice
from voicechat.providers.transcription_service import TranscriptionWishes
from voicechat.session.model_spending import ModelSpending
from voicechat.transcription.recording_transcriber import RecordingTranscriber


@dataclass(frozen=True, slots=True)
class RecordingSession:
    """The chosen model, ready to transcribe recordings."""

    choice: RecordingChoice
    transcriber: RecordingTranscriber
    spending: ModelSpending


@asynccontextmanager
async def recording_session(
    options: Options,
    wishes: TranscriptionWishes,
    notify: Callable[[str], None],
    *,
    resumes: bool,
    keeps_usage: bool = True,
    shares: ModelSpending | None = None,
) -> AsyncIterator[RecordingSession]:
    """Open the model of the options while the block runs.

    notify: receives sentences for the user. resumes: keep finished pieces on the disk.
    keeps_usage: write the usage to the history. shares: the spending of another model, whose
    budget is also that of this one. Raises `VoicechatError`.
    """
    choice = recording_choice(
        options.model,
        wishes,
        base_url=options.base_url,
        options=options.gateway,
        environ=options.environ,
    )
    async with AsyncExitStack() as stack:
        hosted = embedded = None
        spending = ModelSpending(options, choice.name, notify, keeps=keeps_usage, shares=shares)
        stack.push_async_callback(spending.close)
        if choice.service is None:
            from voicechat.transcription.embedded_recognizer import (
                embedded_recognizer,
                language_problem,
            )

            if problem := language_problem(wishes.language):
                notify(problem)
            embedded = await stack.enter_async_context(embedded_recognizer(notify))
        else:
            from voicechat.transcription.hosted_recognizer import hosted_recognizer

            hosted = await stack.enter_async_context(hosted_recognizer(choice))
        transcriber = RecordingTranscriber(
            choice, hosted, embedded, spending, notify=notify, resumes=resumes
        )
        yield RecordingSession(choice, transcriber, spending)
