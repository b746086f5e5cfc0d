"""`voicechat.connect`: prepares a session of the Python API from its parameters."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, cast

from voicechat.errors import UsageError
from voicechat.session.budget_watch import kept_ledger
from voicechat.session.client import ClientSession
from voicechat.session.client_approvals import Approve
from voicechat.session.client_checks import (
    check_approve,
    check_card,
    check_guardrails,
    check_type,
    rewording,
)
from voicechat.session.client_options import Devices, Output, Parameters, with_tools
from voicechat.session.event_queue import EventQueue
from voicechat.session.session import Session
from voicechat.session.sound_card import CardLink, PcmCard, SoundCardProtocol

if TYPE_CHECKING:
    from voicechat.tools.guardrails import Guardrail
    from voicechat.tools.registry import Tool


def connect(
    model: str | None = None,
    *,
    tools: Iterable[Tool | str] | None = None,
    guardrails: Iterable[Guardrail] = (),
    audio: Devices | SoundCardProtocol | None = None,
    approve: Approve | None = None,
    voice: str | None = None,
    instructions: str | None = None,
    output: Output = "audio",
    push_to_talk: bool | None = None,
    reports_played: bool = False,
    base_url: str | None = None,
    transport: str | None = None,
    api_key: str | None = None,
    profile: str | None = None,
    settings: bool | str | os.PathLike[str] = True,
    history: bool = False,
    budget: float | None = None,
) -> ClientSession:
    """Prepare a session; `async with` opens it and closes it.

    model          PROVIDER/MODEL; None chooses like the command
    tools          exactly these tools: `voicechat.tool` functions and names of the command's
                   tools; None offers the tools of the settings
    guardrails     `voicechat.guardrail` functions that may stop a reply, besides those of the
                   settings and of plugins
    audio          None: give and take PCM. `Devices`: microphone and speaker. Else a `SoundCard`
    approve        decides on tool calls that need permission; without it they are denied
    voice          name of the voice
    instructions   how the assistant should behave
    output         "audio" for spoken replies, "text" for written ones
    push_to_talk   True: `end_turn` ends a spoken turn. Otherwise the provider detects its end
    reports_played with `audio=None`: playout positions come from `played`, not from the iteration
    base_url       another address of the provider's API
    transport      "websocket" or "webrtc"
    api_key        the provider's key; by default it comes from the environment, the settings or
                   `voicechat login`; see `read_keyring`
    profile        a profile of the settings file
    settings       True: read the user's settings file. False: read none. A path: read that one
    history        True: keep the conversation in the user's history, as the command does
    budget         US dollars; once they are spent, nothing more is requested

    Parameters override the environment, which overrides the settings file. Raises `TypeError`
    for a parameter of a wrong type, `UsageError` for a wrong value or setting, `KeyMissing` when
    the model needs a key and there is none.
    """
    given = Parameters(
        model=model,
        voice=voice,
        instructions=instructions,
        base_url=base_url,
        transport=transport,
        api_key=api_key,
        profile=profile,
        push_to_talk=push_to_talk,
        output=output,
        settings=settings,
        history=history,
        budget=budget,
    )
    devices = audio if isinstance(audio, Devices) else None
    if audio is not None and devices is None:
        check_card(audio)
    if approve is not None:
        check_approve(approve)
    check_type("reports_played", reports_played, bool)
    guardrails = check_guardrails(guardrails)
    if reports_played and audio is not None:
        raise UsageError("reports_played=True needs audio=None.", "Leave one of them out.")
    events = EventQueue()
    pcm = PcmCard(events.put_audio, events.drop_audio) if audio is None else None
    card = cast("SoundCardProtocol", pcm or audio)
    with rewording():
        options, own = with_tools(given.options(devices), tools)
        open_audio = partial(CardLink, card) if devices is None else None
        session = Session(
            options,
            tools=own,
            guardrails=guardrails,
            open_audio=open_audio,
            open_ledger=kept_ledger() if given.keeps_files else None,
            keeps_history=given.history,
        )
    named = () if tools is None else options.tools or ()
    return ClientSession(session, events, approve, pcm, reports_played, named)
