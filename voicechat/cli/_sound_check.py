"""The sound in `voicechat setup`: devices, levels, echo, and one sentence that is understood."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace

from voicechat.audio.devices.device_list import Device
from voicechat.audio.devices.device_probe import LoopbackResult, ProbeRequest, ProbeResult, probe
from voicechat.cli._dialog import agree, choose, meter, redraw, tell
from voicechat.config.options import Options
from voicechat.core.items import Item, ItemStatus, Role
from voicechat.doctor.environment import Environment, snapshot
from voicechat.doctor.findings import FindingLevel
from voicechat.doctor.sound_findings import findings
from voicechat.errors import VoicechatError
from voicechat.line_mode.line_client import LineClient, run_to_end
from voicechat.session.session import Session
from voicechat.session.updates import LevelsChanged, SoundChanged, Update
from voicechat.system import exit_deadline
from voicechat.system.daemon_call import call_with_deadline

PROBE_S = 5.5
"""Seconds for opening the devices, listening and a chirp."""
_SNAPSHOT_S = 3.0
_READY_S = 20.0
SENTENCE_S = 30.0
"""Seconds without speech after which the check of the sentence ends."""
_EXAMPLE = "what is two plus two"
_SIDES = (("input_device", "microphone"), ("output_device", "speaker"))


def check(options: Options) -> dict[str, object]:
    """Check the devices until the user is content; return the settings of the chosen devices."""
    chosen: dict[str, object] = {}
    while True:
        own = replace(options, **chosen)  # type: ignore[arg-type]
        tell("", "Listening for a second, then playing a chirp. Do not speak.")
        probed, environment = exit_deadline.run(_probed(own))
        _tell_devices(probed, environment)
        if not probed.devices:
            tell("", "voicechat --text works without sound.")
            return chosen
        answers = ["These devices are right", "Choose other devices", "Skip the sound"]
        answer = choose("What next?", answers)
        if answer == 0:
            break
        if answer == 2:
            return chosen
        chosen |= _chosen_devices(probed.devices)
    trial = probed.trial
    if trial is not None and trial.microphone and agree("\nTry a spoken sentence?"):
        _try_sentence(own)
    return chosen


async def _probed(options: Options) -> tuple[ProbeResult, Environment]:
    request = ProbeRequest(options.input_device, options.output_device, listen=True, chirp=True)
    try:
        environment = await call_with_deadline(snapshot, _SNAPSHOT_S)
    except TimeoutError:
        environment = Environment(system=sys.platform)
    return await call_with_deadline(lambda: probe(request, PROBE_S), PROBE_S + 1.0), environment


def _tell_devices(probed: ProbeResult, environment: Environment) -> None:
    if probed.trial is not None:
        _tell_levels(probed.trial)
    for finding in findings(probed, environment):
        if finding.level is not FindingLevel.OK:
            tell(f"  {finding.title}: {finding.sentence}")
            if finding.remedy:
                tell(f"    {finding.remedy}")


def _tell_levels(trial: LoopbackResult) -> None:
    tell("")
    if trial.microphone is not None and trial.level is not None:
        tell(f"  Microphone  {meter(trial.level)}  {trial.microphone}")
    if trial.speaker is not None:
        tell(f"  Speaker     {'the chirp was played' if trial.chirped else ''}  {trial.speaker}")
    if trial.return_db is not None and trial.round_trip_ms is not None:
        tell(f"  Echo        {meter(trial.return_db)}  after {trial.round_trip_ms:.0f} ms")
    elif trial.chirped and trial.microphone is not None:
        tell("  Echo        none was heard, as with headphones or a speaker that is off")


def _chosen_devices(devices: tuple[Device, ...]) -> dict[str, object]:
    """Ask for a microphone and a speaker; return their names as settings."""
    found: dict[str, object] = {}
    for name, noun in _SIDES:
        able = [each for each in devices if (each.inputs if noun == "microphone" else each.outputs)]
        names = [each.name for each in able]
        if names:
            answer = choose(f"Which {noun}?", ["the default one", *names])
            found[name] = names[answer - 1] if answer else None
    return found


# ------------------------------------------------------------------------------- a sentence


def _try_sentence(options: Options) -> None:
    """Let the embedded voice hear a sentence and answer it."""
    tell("", "Starting the embedded voice…")
    session = Session(
        Options(
            model="local",
            input_device=options.input_device,
            output_device=options.output_device,
            echo_cancel=options.echo_cancel,
            tools=(),
        )
    )
    try:
        code = run_to_end(_SentenceCheck(session))
    except VoicechatError as error:
        tell(f"The check failed: {error}")
        return
    if code:  # a signal ended it, and ends the setup
        raise SystemExit(code)


class _SentenceCheck(LineClient):
    """Shows the level of the microphone until a sentence was heard and answered."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._has_microphone = False
        self._listens = False

    async def run(self) -> int:
        """Wait for a sentence and its answer."""
        if not await self.wait_until(lambda: self.is_online and self._has_microphone, _READY_S):
            tell("The microphone did not open in time.")
            return 0
        tell(f"Say a sentence, for example: {_EXAMPLE}")
        self._listens = True
        try:
            async with asyncio.timeout(SENTENCE_S):
                await self.wait_until(lambda: bool(self._said(Role.USER)))
                self._listens = False
                redraw("")
                tell(f"Understood: “{self._said(Role.USER)}”")
                await self.wait_until(lambda: bool(self._said(Role.ASSISTANT)) and self.is_idle())
                tell(f"Answered: “{self._said(Role.ASSISTANT)}”")
        except TimeoutError:
            self._listens = False
            redraw("")
            tell("No sentence was understood. Check the level, or choose another microphone.")
        return 0

    def _said(self, role: Role) -> str:
        """The words of the last complete message of a role."""
        entries = self.session.transcript.entries
        own = [each for each in entries if isinstance(each, Item) and each.role is role]
        done = [
            each.text.strip()
            for each in own
            if each.status is not ItemStatus.IN_PROGRESS and not each.hidden
        ]
        return done[-1] if done else ""

    def handle(self, update: Update) -> None:
        """Draw the level, and note the microphone."""
        match update:
            case SoundChanged(microphone, _, problem, hint):
                self._has_microphone = microphone is not None
                if problem:
                    tell(f"{problem} {hint}")
            case LevelsChanged(mic) if self._listens:
                redraw(f"  Microphone  {meter(mic)}")
