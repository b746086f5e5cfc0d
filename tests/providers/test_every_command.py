"""Every command has its frame on every provider, or a capability that is off."""

from __future__ import annotations

from typing import get_args

import pytest

from voicechat.core import events as ev
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
}
MANUAL = SessionSettings(turn_detection=None)
HANDS_FREE = SessionSettings(turn_detection=ServerVad())

COMMANDS: dict[type[ev.Command], tuple[ev.Command, str | None]] = {
    ev.UpdateSession: (ev.UpdateSession(HANDS_FREE), None),
    ev.AppendAudio: (ev.AppendAudio(bytes(16_000)), None),
    ev.CommitAudio: (ev.CommitAudio(), "manual_turns"),
    ev.ClearAudio: (ev.ClearAudio(), "manual_turns"),
    ev.CreateMessage: (ev.CreateMessage("i", "user", "Hi."), None),
    ev.ToolResult: (ev.ToolResult("c", "{}", "f"), None),
    ev.AnswerApproval: (ev.AnswerApproval("mcpr_1", True), "remote_tools"),
    ev.RetellCall: (ev.RetellCall("c", "f", "{}"), None),
    ev.RetellResult: (ev.RetellResult("c", "{}"), None),
    ev.RetrieveItem: (ev.RetrieveItem("i"), "retrieve"),
    ev.DeleteItem: (ev.DeleteItem("i"), "delete"),
    ev.TruncateItem: (ev.TruncateItem("i", 5), "truncate"),
    ev.CreateResponse: (ev.CreateResponse(), None),
    ev.CancelResponse: (ev.CancelResponse("r"), "cancel"),
    ev.ClearOutput: (ev.ClearOutput(), "clear_output"),
}
"""Command -> an example and the flag without which it has no frame."""


ANSWERS_BY_ITSELF = {"gateway to google"}
"""Nothing but what is said there asks for an answer."""


def codec(name: str) -> Codec:
    model, wire = CODECS[name]
    return catalog.codec_of(model, environ={}, wire=wire)


def test_all_commands_are_here() -> None:
    assert COMMANDS.keys() == set(get_args(ev.Command))
    flags = {flag for _, flag in COMMANDS.values() if flag}
    assert flags <= {*Capabilities.__slots__}


def frames_of(talk: Codec, kind: type[ev.Command]) -> list[str | bytes]:
    """The frames of the command in a conversation by hand in which everything else was said.

    Words that a wire only sends with the next command count as that command's.
    """
    talk.opening(MANUAL)
    for before in (
        ev.UpdateSession(MANUAL),
        ev.AppendAudio(bytes(16_000)),
        ev.RetellCall("c", "f", "{}"),
    ):
        if kind is not type(before):
            talk.encode(before)
    frames = talk.encode(COMMANDS[kind][0])
    if kind in {ev.CreateMessage, ev.RetellCall, ev.RetellResult}:
        frames += talk.encode(ev.RetellResult("c", "{}")) if kind is ev.RetellCall else []
        frames += talk.encode(ev.CreateResponse())
    return frames


@pytest.mark.parametrize("kind", COMMANDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("name", CODECS)
def test_each(name: str, kind: type[ev.Command]) -> None:
    talk = codec(name)
    flag = COMMANDS[kind][1]
    able = flag is None or getattr(talk.capabilities, flag)
    frames = frames_of(talk, kind)
    if kind is ev.UpdateSession:
        assert frames or talk.stale, "said at once, or with a new connection"
    elif kind is ev.CreateResponse and name in ANSWERS_BY_ITSELF:
        assert frames == []
    else:
        assert bool(frames) is able


@pytest.mark.parametrize("name", CODECS)
def test_an_answer_outside_the_conversation(name: str) -> None:
    talk = codec(name)
    talk.opening(HANDS_FREE)
    talk.encode(ev.UpdateSession(HANDS_FREE))
    found = bool(talk.encode(ev.CreateResponse("Sum up.", out_of_band=True)))
    assert found is talk.capabilities.out_of_band
