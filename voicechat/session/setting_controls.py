"""Controls of a live session for its settings, its tools, samples of voices and lists."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, cast

from voicechat.core import effects, inputs
from voicechat.core.text import clean
from voicechat.errors import UsageError, VoicechatError
from voicechat.session.spending_controls import SpendingControls
from voicechat.session.updates import PickerRequested, Report
from voicechat.system.daemon_call import call_with_deadline

if TYPE_CHECKING:
    from voicechat.audio.messages import AudioCommand, AudioSettings
    from voicechat.config.options import Options
    from voicechat.session.budget_watch import Ledger
    from voicechat.session.controls import SessionControls
    from voicechat.session.live_settings import LiveSettings
    from voicechat.session.model import ChosenModel
    from voicechat.session.toolbox import Toolbox

LIST_S = 10.0
"""Seconds to collect a list."""

DISK_S = 5.0
"""Seconds to write the settings file."""


class SettingControls(SpendingControls):
    """Controls for settings, tools, samples of voices and lists."""

    _tools: Toolbox
    _options: Options
    _sound: AudioSettings
    _sample: asyncio.Task[None] | None = None
    """The sample of a voice that is requested."""

    def __init__(self, chosen: ChosenModel, open_ledger: Callable[[], Ledger] | None) -> None:
        from voicechat.session.live_settings import LiveSettings

        super().__init__(chosen, open_ledger)
        self._settings = LiveSettings(cast("SessionControls", self))
        self._samples = count(1)

    @abstractmethod
    def _play(self, command: AudioCommand) -> None:
        """Send a command to the audio process, if there is one."""

    # ----------------------------------------------------------------- lists

    def request_picker(self, name: str, selected: str = "") -> None:
        """Ask the screen for a list to choose from; `selected` is the key of an item."""
        self._publish_update(PickerRequested(name, selected))

    def report(self, title: str, collect: Callable[[], str]) -> None:
        """Publish the text of `collect`, which may block, as a `Report`."""
        self._run(self._publish_list(title, collect))

    async def _publish_list(self, title: str, collect: Callable[[], str]) -> None:
        try:
            self._publish_update(Report(title, await call_with_deadline(collect, LIST_S)))
        except VoicechatError as error:
            self._warn_of(error)
        except TimeoutError:
            text = f"The list did not arrive within {LIST_S:g} seconds."
            self._publish_update(effects.Notice(text, effects.Level.WARNING, "Try again."))

    # ----------------------------------------------------------------- settings

    @property
    def settings(self) -> LiveSettings:
        """The settings and their values."""
        return self._settings

    @property
    def options(self) -> Options:
        """The options with everything that was changed."""
        chosen = self._chosen.options
        return replace(
            self._options,
            voice=chosen.voice,
            instructions=chosen.instructions,
            session_settings=chosen.session_settings,
        )

    def replace_options(self, **changes: object) -> None:
        """Replace options that the session reads later, such as those of the sound."""
        self._options = replace(self._options, **changes)  # type: ignore[arg-type]

    def save_settings(self) -> None:
        """Write the changed settings into the settings file; a notice reports the result."""
        changes = self.settings.unsaved
        if changes:
            self._run(self._save(changes))
        else:
            self._publish_update(effects.Notice("No setting was changed, so nothing was saved."))

    async def _save(self, changes: dict[str, object]) -> None:
        try:
            path = await call_with_deadline(partial(self.settings.write, changes), DISK_S)
        except VoicechatError as error:
            self._warn_of(error)
        except TimeoutError:
            text = "The settings file could not be written in time."
            self._publish_update(effects.Notice(text, effects.Level.WARNING, "Check the disk."))
        else:
            variables = self.settings.saved(changes)
            text = f"Saved {', '.join(changes)} in {clean(str(path))}."
            verb = "overrides" if len(variables) == 1 else "override"
            hint = f"{' and '.join(variables)} {verb} the file." if variables else ""
            self._publish_update(effects.Notice(text, effects.Level.INFO, hint))

    # ----------------------------------------------------------------- samples of voices

    @property
    def can_sample(self) -> bool:
        """True if a voice of this model can speak a sample."""
        return self.with_sound and self.speaker is not None and self._chosen.samples is not None

    def play_sample(self, voice: str) -> None:
        """Play a sentence in this voice. Interrupts the assistant; a notice reports a failure.

        Raises `UsageError` if the provider has no samples, or there is no speaker.
        """
        if not self.can_sample:
            reason = f"{self.model} has no samples of its voices."
            if not self.with_sound or self.speaker is None:
                reason = "There is no speaker to play a sample."
            raise UsageError(reason, "Choose the voice to hear it.")
        if self._sample is not None:
            self._sample.cancel()
        self._sample = self._run(self._play_sample(voice))

    async def _play_sample(self, voice: str) -> None:
        from voicechat.session.voice_sample import voice_sample

        try:
            pcm = await voice_sample(self._chosen, voice, self._sound.output_rate)
        except VoicechatError as error:
            self._warn_of(error)
            return
        if self.floor not in {effects.Floor.IDLE, effects.Floor.LISTENING}:
            self._handle(inputs.Interrupt())
        item_id = f"sample_{next(self._samples)}"
        self._play(effects.Play(item_id, pcm))
        self._play(effects.EndItem(item_id))

    # ----------------------------------------------------------------- tools

    @property
    def toolbox(self) -> Toolbox:
        """The tools of the session with their permissions, and the MCP servers."""
        return self._tools

    def revoke_approval(self, name: str) -> None:
        """Ask again before this tool runs; a notice reports the result."""
        self._run(self._revoke(name))

    async def _revoke(self, name: str) -> None:
        try:
            await self._tools.revoke_approval(name)
        except VoicechatError as error:
            self._warn_of(error)
        else:
            self._publish_update(effects.Notice(f"{name} asks again before it runs."))
