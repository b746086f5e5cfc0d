"""The control socket of a phone call to a Live model, and the requests for the call.

The sound of both sides is reflected here as PCM16 of 24 kHz; it is the clock of the turns.

Source: OpenAI API reference, `live/sessions`: `/attach`, `/accept`, `/reject`, `/refer`, `/hangup`;
types of the `openai` package 3.57, `types/live`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

from voicechat.config.joined_call import JoinedCall
from voicechat.core.commands import Command, CreateMessage, SeedCall, ToolResult, UpdateSession
from voicechat.core.events import Event, ProviderError, RemoteCall, SessionCreated
from voicechat.core.items import Role, ToolState
from voicechat.core.settings import AudioFormat, SessionSettings
from voicechat.errors import Secret
from voicechat.providers.json_fields import as_text, message
from voicechat.providers.openai import live_session, openai_models
from voicechat.providers.openai.live_codec import LiveCodec
from voicechat.providers.openai.openai_parts import Message
from voicechat.providers.phone_call import keypad, watched, wrong_kind
from voicechat.providers.rest import HttpRequest, bearer, below_socket, post
from voicechat.system.dial_target import DialTarget

MAX_KNOWN = 4_096
"""Ids of events that are remembered: a socket that joins again gets the last seconds again."""


class LiveSideband(LiveCodec):
    """One control socket of a call."""

    def __init__(
        self,
        url: str,
        model: str,
        call: JoinedCall,
        key: Secret | None = None,
        *,
        provider: str = "openai",
        headers: Callable[[Secret], dict[str, Secret]] = bearer,
        key_variable: str = "OPENAI_API_KEY",
    ) -> None:
        """url: the address of new sessions."""
        super().__init__(
            f"{url}/{call.call_id}/attach", model, key,
            provider=provider, headers=headers, key_variable=key_variable,
        )  # fmt: skip
        self.capabilities = replace(self.capabilities, outlives_connection=True)
        self._call = call
        self._root = url
        self._endpoint = replace(self._endpoint, call_id=call.call_id)
        self._has_joined = False
        self._has_settings = False
        self._known: OrderedDict[str, None] = OrderedDict()
        self.sound_plays = False

    def redirect(self, endpoint: DialTarget) -> None:
        """Dial this target instead, with a short-lived token."""
        super().redirect(replace(endpoint, call_id=self._call.call_id))

    # ----------------------------------------------------------------- requests

    def accept(self, settings: SessionSettings) -> HttpRequest:
        """Build the request that answers the call. Raises `UsageError` for another model."""
        # A deployment of Azure may have any name.
        if self._provider == "openai" and not openai_models.is_live(self._model):
            raise wrong_kind(self._call.call_id, self._model, "a Live model")
        session = live_session.session_object(self._model, settings)
        session["audio"] = {"output": {"voice": settings.voice}} if settings.voice else {}
        return self._post("accept", {"session": {"type": "live", **session}})

    def reject(self, status: int) -> HttpRequest:
        """Build the request that refuses the call with a status code of SIP."""
        return self._post("reject", {"status_code": status})

    def refer(self, target: str) -> HttpRequest:
        """Build the request that transfers the call."""
        return self._post("refer", {"target_uri": target})

    def hang_up(self) -> HttpRequest:
        """Build the request that ends the call."""
        return self._post("hangup", {})

    def _post(self, action: str, body: Message) -> HttpRequest:
        url = below_socket(self._root, f"{self._call.call_id}/{action}")
        return post(url, self._endpoint.headers, body)

    # ----------------------------------------------------------------- the socket

    def opening(self, settings: SessionSettings, resume: str = "") -> list[str | bytes]:
        """Return the tools for the session; nothing for one that is only watched."""
        self._take(settings)
        if self._call.watches:
            return []
        delegation = {"type": "responses", "responses": live_session.backing(settings)}
        return [
            self._message("session.update", UpdateSession, {"session": {"delegation": delegation}})
        ]

    def prompting(self) -> list[str | bytes]:
        """Return the frame for a call in which nothing happens: an update without a change."""
        return [self._message("session.update", UpdateSession, {"session": {}})]

    def closing(self) -> list[str | bytes]:
        """Return nothing: the call goes on without this socket."""
        return []

    def silence(self, ms: float) -> list[str | bytes]:
        """Return nothing: the sound comes from the phone."""
        return []

    def _take(self, settings: SessionSettings) -> None:
        super()._take(replace(settings, input_format=AudioFormat(), output_format=AudioFormat()))

    def decode(self, frame: str | bytes) -> list[Event]:
        """Return the events in one frame that did not arrive before. Never raises."""
        if self._is_known(frame):
            return []
        events = [*super().decode(frame), *keypad(frame)]
        if not self._has_joined and not any(
            isinstance(event, ProviderError) and event.fatal for event in events
        ):
            self._has_joined = True
            others = [event for event in events if not isinstance(event, ProviderError)]
            return [SessionCreated(self._call.call_id, resumed=True), *others]
        events = [event for event in events if not isinstance(event, SessionCreated)]
        if self._call.watches:
            # Their results are not on this wire.
            events = [
                replace(event, state=ToolState.DONE)
                if isinstance(event, RemoteCall) and event.state is ToolState.RUNNING
                else event
                for event in watched(events)
            ]
        return events

    def _is_known(self, frame: str | bytes) -> bool:
        if "event_id" not in str(frame[:4_000]):
            return False
        event_id = as_text((message(frame) or {}).get("event_id"))
        if not event_id:
            return False
        if event_id in self._known:
            return True
        self._known[event_id] = None
        while len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
        return False

    # ----------------------------------------------------------------- commands

    def encode(self, command: Command) -> list[str | bytes]:
        """Return the frames that carry out the command; none if it does not concern a call."""
        match command:
            case SeedCall():
                return []
            case ToolResult() if self._call.watches:
                return []
            case UpdateSession(settings) if not self._has_settings:
                self._has_settings = True
                self._take(settings)
                return []
            case CreateMessage(role=role, text=text) if role == Role.SYSTEM:
                item: Message = {"type": "message", "role": "developer", "content": text}
                return [
                    self._item(CreateMessage, item),
                    *self._append("instructions", text, CreateMessage),
                ]
            case CreateMessage():
                return []
        return super().encode(command)
