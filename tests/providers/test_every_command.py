"""Every command has its frame on every provider, or a capability that is off."""

from __future__ import annotations

from typing import get_args

import pytest

from voicechat.core import commands
from voicechat.core.settings import Capabilities, ServerVad, SessionSettings
from voicechat.providers import catalog
from voicechat.providers.codec import Codec

CODECS = {
    "openai": ("openai", None),
    "beta": ("openai", "beta"),
    "azure": ("azure/x", None),
    "voice-live": ("azure/x", "voice-live"),
    "xai": ("xai", None),
    "google": ("google", None),
    "gateway": ("gateway", None),
    "gateway to google": ("gateway/google/gemini-3.8-live", None),
    "gateway to xai": ("gateway/spacexai/grok-voice-3.0", None),
    "local": ("local", None),
    "live": ("openai/gpt-live-1", None),
    "translation": ("openai/gpt-realtime-translate", None),
}
MANUAL = SessionSettings(turn_detection=None)
HANDS_FREE = SessionSettings(turn_detection=ServerVad())

COMMANDS: dict[type[commands.Command], tuple[commands.Command, str | None]] = {
    commands.UpdateSession: (commands.UpdateSession(HANDS_FREE), None),
    commands.AppendAudio: (commands.AppendAudio(bytes(16_000)), None),
    commands.CommitAudio: (commands.CommitAudio(), None),
    commands.ClearAudio: (commands.ClearAudio(), None),
    commands.CreateMessage: (commands.CreateMessage("i", "user", "Hi."), None),
    commands.ToolResult: (commands.ToolResult("c", "{}", "f"), None),
    commands.AnswerApproval: (commands.AnswerApproval("mcpr_1", True), "remote_tools"),
    commands.SeedCall: (commands.SeedCall("c", "f", "{}"), None),
    commands.SeedResult: (commands.SeedResult("c", "{}"), None),
    commands.RetrieveItem: (commands.RetrieveItem("i"), "retrieve"),
    commands.DeleteItem: (commands.DeleteItem("i"), "delete"),
    commands.TruncateItem: (commands.TruncateItem("i", 5), "truncate"),
    commands.CreateResponse: (commands.CreateResponse(), None),
    commands.CancelResponse: (commands.CancelResponse("r"), "cancel"),
    commands.ClearOutput: (commands.ClearOutput(), "clear_output"),
}
"""Command -> an example and the flag without which it has no frame."""


TURNS = {commands.CommitAudio, commands.ClearAudio}
"""Commands about turns, which a continuous session does not have."""

TEXTS = {
    commands.CreateMessage, commands.ToolResult, commands.SeedCall, commands.SeedResult,
    commands.CreateResponse,
}  # fmt: skip
"""Commands that send text or ask for an answer to it."""

ANSWERS_BY_ITSELF = {"gateway to google"}
"""Commands that make the server answer."""


def codec(name: str) -> Codec:
    model, wire = CODECS[name]
    return catalog.codec_of(model, environ={}, wire=wire)


def test_all_commands_are_covered() -> None:
    assert COMMANDS.keys() == set(get_args(commands.Command))
    flags = {flag for _, flag in COMMANDS.values() if flag}
    assert flags <= {*Capabilities.__slots__}


def frames_of(talk: Codec, kind: type[commands.Command]) -> list[str | bytes]:
    """Return the command's frames in a conversation without turn detection, after all others.

    Text that a wire only sends with the next command counts as that command's.
    """
    talk.opening(MANUAL)
    for before in (
        commands.UpdateSession(MANUAL),
        commands.AppendAudio(bytes(16_000)),
        commands.SeedCall("c", "f", "{}"),
    ):
        if kind is not type(before):
            talk.encode(before)
    frames = talk.encode(COMMANDS[kind][0])
    if kind in {commands.CreateMessage, commands.SeedCall, commands.SeedResult}:
        frames += talk.encode(commands.SeedResult("c", "{}")) if kind is commands.SeedCall else []
        frames += talk.encode(commands.CreateResponse())
    return frames


@pytest.mark.parametrize("kind", COMMANDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("name", CODECS)
def test_each_command_has_frames_or_a_capability_that_is_off(
    name: str, kind: type[commands.Command]
) -> None:
    talk = codec(name)
    flag = COMMANDS[kind][1]
    able = flag is None or getattr(talk.capabilities, flag)
    frames = frames_of(talk, kind)
    traits = talk.capabilities
    if (kind in TURNS and traits.continuous) or (kind in TEXTS and not traits.text_input):
        able = False
    if kind is commands.UpdateSession and traits.continuous:
        return  # it has no turn detection to change
    if kind is commands.UpdateSession:
        assert frames or talk.stale, "said at once, or with a new connection"
    elif kind is commands.CreateResponse and name in ANSWERS_BY_ITSELF:
        assert frames == []
    else:
        assert bool(frames) is able


@pytest.mark.parametrize("name", CODECS)
def test_an_out_of_band_response(name: str) -> None:
    talk = codec(name)
    talk.opening(HANDS_FREE)
    talk.encode(commands.UpdateSession(HANDS_FREE))
    found = bool(talk.encode(commands.CreateResponse("Sum up.", out_of_band=True)))
    assert found is talk.capabilities.out_of_band
