"""voicechat: talk with a realtime speech model, from a terminal or from a Python program.

    async with voicechat.connect("openai/gpt-realtime-2.1", audio=None) as session:
        await session.send("Hello")
        async for event in session: ...

docs/python-api.md describes the API. Names load when they are first used, so that importing the
package costs next to nothing.
"""

from __future__ import annotations

# Type checkers take this name for true; importing `typing` would cost more than the package.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from voicechat.core.guardrail import GuardrailTrip
    from voicechat.core.inputs import Decision
    from voicechat.core.items import Usage
    from voicechat.core.pictures import Picture
    from voicechat.core.recorded_speech import RecordedSpeech, TimedSegment, TimedWord
    from voicechat.errors import (
        BudgetSpent,
        ConnectError,
        KeyMissing,
        ServerError,
        SessionLost,
        SoundError,
        UsageError,
        VoicechatError,
    )
    from voicechat.session.aside_queue import AsideAnswer as Aside
    from voicechat.session.client import ClientSession
    from voicechat.session.client_events import ApprovalRequest as Approval
    from voicechat.session.client_events import AudioChunk as Audio
    from voicechat.session.client_events import ClientEvent as Event
    from voicechat.session.client_events import ConnectionEvent as ConnectionChanged
    from voicechat.session.client_events import InterruptedEvent as Interrupted
    from voicechat.session.client_events import ProblemEvent as Problem
    from voicechat.session.client_events import ToolCallEvent as ToolCall
    from voicechat.session.client_events import TranscriptEvent as Transcript
    from voicechat.session.client_events import TurnEndedEvent as TurnEnded
    from voicechat.session.client_options import Devices
    from voicechat.session.client_pictures import read_picture
    from voicechat.session.connect_call import connect
    from voicechat.session.keyring_access import read_keyring
    from voicechat.session.model_list import ListedModel, list_models
    from voicechat.session.sound_card import CardLine
    from voicechat.session.sound_card import SoundCardProtocol as SoundCard
    from voicechat.session.token_mint import MintedToken, mint_token, mint_token_async
    from voicechat.synthesis.speak_call import SynthesizedSpeech, speak, speak_async
    from voicechat.tools.functions import tool
    from voicechat.tools.guardrails import Guardrail, guardrail
    from voicechat.tools.registry import ToolError
    from voicechat.transcription.transcribe_call import transcribe, transcribe_async

__version__ = "0.1.0"

__all__ = [
    "Approval",
    "Aside",
    "Audio",
    "BudgetSpent",
    "CardLine",
    "ClientSession",
    "ConnectError",
    "ConnectionChanged",
    "Decision",
    "Devices",
    "Event",
    "Guardrail",
    "GuardrailTrip",
    "Interrupted",
    "KeyMissing",
    "ListedModel",
    "MintedToken",
    "Picture",
    "Problem",
    "RecordedSpeech",
    "ServerError",
    "SessionLost",
    "SoundCard",
    "SoundError",
    "SynthesizedSpeech",
    "TimedSegment",
    "TimedWord",
    "ToolCall",
    "ToolError",
    "Transcript",
    "TurnEnded",
    "Usage",
    "UsageError",
    "VoicechatError",
    "connect",
    "guardrail",
    "list_models",
    "mint_token",
    "mint_token_async",
    "read_keyring",
    "read_picture",
    "speak",
    "speak_async",
    "tool",
    "transcribe",
    "transcribe_async",
]

_EVENTS = "voicechat.session.client_events"
_HOMES = {
    "Approval": f"{_EVENTS}:ApprovalRequest",
    "Aside": "voicechat.session.aside_queue:AsideAnswer",
    "Audio": f"{_EVENTS}:AudioChunk",
    "CardLine": "voicechat.session.sound_card:CardLine",
    "ClientSession": "voicechat.session.client:ClientSession",
    "ConnectionChanged": f"{_EVENTS}:ConnectionEvent",
    "Decision": "voicechat.core.inputs:Decision",
    "Devices": "voicechat.session.client_options:Devices",
    "Event": f"{_EVENTS}:ClientEvent",
    "Guardrail": "voicechat.tools.guardrails:Guardrail",
    "GuardrailTrip": "voicechat.core.guardrail:GuardrailTrip",
    "Interrupted": f"{_EVENTS}:InterruptedEvent",
    "ListedModel": "voicechat.session.model_list:ListedModel",
    "MintedToken": "voicechat.session.token_mint:MintedToken",
    "Picture": "voicechat.core.pictures:Picture",
    "Problem": f"{_EVENTS}:ProblemEvent",
    "RecordedSpeech": "voicechat.core.recorded_speech:RecordedSpeech",
    "SoundCard": "voicechat.session.sound_card:SoundCardProtocol",
    "SynthesizedSpeech": "voicechat.synthesis.speak_call:SynthesizedSpeech",
    "TimedSegment": "voicechat.core.recorded_speech:TimedSegment",
    "TimedWord": "voicechat.core.recorded_speech:TimedWord",
    "ToolCall": f"{_EVENTS}:ToolCallEvent",
    "ToolError": "voicechat.tools.registry:ToolError",
    "Transcript": f"{_EVENTS}:TranscriptEvent",
    "TurnEnded": f"{_EVENTS}:TurnEndedEvent",
    "Usage": "voicechat.core.items:Usage",
    "connect": "voicechat.session.connect_call:connect",
    "guardrail": "voicechat.tools.guardrails:guardrail",
    "list_models": "voicechat.session.model_list:list_models",
    "mint_token": "voicechat.session.token_mint:mint_token",
    "mint_token_async": "voicechat.session.token_mint:mint_token_async",
    "read_keyring": "voicechat.session.keyring_access:read_keyring",
    "read_picture": "voicechat.session.client_pictures:read_picture",
    "speak": "voicechat.synthesis.speak_call:speak",
    "speak_async": "voicechat.synthesis.speak_call:speak_async",
    "tool": "voicechat.tools.functions:tool",
    "transcribe": "voicechat.transcription.transcribe_call:transcribe",
    "transcribe_async": "voicechat.transcription.transcribe_call:transcribe_async",
}
"""The module and the name in it of each exported name; those of errors are missing."""


def __getattr__(name: str) -> object:
    """Load an exported name on first use."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module, _, inner = _HOMES.get(name, f"voicechat.errors:{name}").partition(":")
    found: object = getattr(import_module(module), inner)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
