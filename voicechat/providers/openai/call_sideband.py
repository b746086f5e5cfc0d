"""The control socket of a phone call ("sideband"), and the requests for the call.

The socket joins a session that runs at the provider: any first frame shows that it is open. The
session has the conversation and its sound already, so nothing is seeded and no sound is sent.

Sources: OpenAI API reference, `POST /v1/realtime/calls/{call_id}/accept`, `/reject`, `/refer`,
`/hangup`, and the query `call_id` of the socket; guides "Realtime API with SIP" and "Webhooks and
server-side controls".
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

from voicechat.config.joined_call import JoinedCall
from voicechat.core.commands import (
    AppendAudio,
    ClearAudio,
    Command,
    CommitAudio,
    CreateMessage,
    DeleteItem,
    SeedCall,
    ToolResult,
    UpdateSession,
)
from voicechat.core.events import Event, ProviderError, RemoteCall, SessionCreated, SessionUpdated
from voicechat.core.items import ToolState
from voicechat.core.settings import SessionSettings
from voicechat.errors import Secret
from voicechat.providers.json_fields import as_text, fields, message
from voicechat.providers.openai.openai_codec import GENERAL, Dialect, OpenAICodec
from voicechat.providers.openai.openai_models import is_live
from voicechat.providers.openai.openai_parts import Message
from voicechat.providers.phone_call import keypad, watched, wrong_kind
from voicechat.providers.rest import HttpRequest, below_socket, post
from voicechat.system.dial_target import DialTarget

_OWN_ITEMS = ("typed_", "picture_", "announcement_")
"""Beginnings of the ids of items that this program makes."""

_PLAYING = {
    "output_audio_buffer.started": True,
    "output_audio_buffer.stopped": False,
    "output_audio_buffer.cleared": False,
}
_RESULT = "function_call_output"


class CallSideband(OpenAICodec):
    """One control socket of a call."""

    def __init__(
        self,
        socket: str,
        model: str,
        call: JoinedCall,
        key: Secret | None = None,
        dialect: Dialect = GENERAL,
    ) -> None:
        """socket: the address of a new session; its query is replaced by the id of the call."""
        query = urlencode({"call_id": call.call_id})
        able = replace(dialect.capabilities, outlives_connection=True)
        # The server is known: it has taken the call.
        dialect = replace(dialect, capabilities=able, recognize=None)
        super().__init__(urlunsplit(urlsplit(socket)._replace(query=query)), key, dialect)
        self._call = call
        self._model = model
        self._endpoint = replace(self._endpoint, call_id=call.call_id)
        self._has_joined = False
        self._echo_due = False
        """The answer to the opening frame did not arrive."""
        self._has_settings = call.watches
        """The session has voice and sound already, which an update must not repeat."""
        self._watched: dict[str, RemoteCall] = {}
        """Calls of tools that run elsewhere, by their id at the provider."""
        self._tag = f"_{secrets.token_hex(3)}" if call.watches else ""
        """Part of the ids of new items, which those of another program must not equal."""
        self.sound_plays = False

    def redirect(self, endpoint: DialTarget) -> None:
        """Dial this target instead, with a short-lived token."""
        super().redirect(replace(endpoint, call_id=self._call.call_id))

    # ----------------------------------------------------------------- requests

    def accept(self, settings: SessionSettings) -> HttpRequest:
        """Build the request that answers the call. Raises `UsageError` for a Live model."""
        if is_live(self._model):
            raise wrong_kind(self._call.call_id, self._model, "a realtime model")
        session = self._dialect.session(settings)
        heard = fields(fields(session.get("audio")).get("input"))
        if heard.get("transcription", self) is None:
            del heard["transcription"]  # only an update may have null
        return self._post("accept", {**session, "model": self._model})

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
        url = below_socket(self._endpoint.url, f"calls/{self._call.call_id}/{action}")
        return post(url, self._endpoint.headers, body)

    # ----------------------------------------------------------------- the socket

    def opening(self, settings: SessionSettings, resume: str = "") -> list[str | bytes]:
        """Return an update that changes nothing: its answer shows that the call is there."""
        self._echo_due = True
        return [self._unchanged(UpdateSession(settings))]

    def _unchanged(self, command: UpdateSession) -> str:
        return self._message(command, "session.update", {"session": {"type": "realtime"}})

    def decode(self, frame: str | bytes) -> list[Event]:
        """Return the events in one frame. Never raises: an unreadable frame is `Unmapped`."""
        self._note(frame)
        events = [*self._reported(frame), *self._without_echo(super().decode(frame))]
        events += keypad(frame)
        if self._call.watches:
            events = [self._noted(event) for event in watched(events)]
        return events

    def _without_echo(self, events: list[Event]) -> Iterator[Event]:
        """Yield the events; those of the opening become the beginning of the session."""
        for event in events:
            if not self._has_joined and not _is_fatal(event):
                self._has_joined = True
                yield SessionCreated(self._call.call_id, resumed=True)
            is_echo = isinstance(event, SessionUpdated) or (
                isinstance(event, ProviderError) and not event.fatal
            )
            if is_echo and self._echo_due:
                self._echo_due = False
            elif not isinstance(event, SessionCreated):
                yield event

    def _note(self, frame: str | bytes) -> None:
        """Note if the phone plays sound of the model."""
        if isinstance(frame, str) and "output_audio_buffer." in frame[:160]:
            kind = as_text((message(frame) or {}).get("type"))
            self.sound_plays = _PLAYING.get(kind, self.sound_plays)

    # ----------------------------------------------------------------- calls of tools elsewhere

    def _noted(self, event: Event) -> Event:
        if isinstance(event, RemoteCall):
            item = self._state.items.get(event.item_id)
            if item is not None and item.call_id:
                self._watched[item.call_id] = event
                while len(self._watched) > _MOST_WATCHED:
                    del self._watched[next(iter(self._watched))]
        return event

    def _reported(self, frame: str | bytes) -> Iterator[Event]:
        """Yield the result of a tool that another program ran."""
        if not self._watched or not isinstance(frame, str) or _RESULT not in frame:
            return
        item = fields((message(frame) or {}).get("item"))
        call = self._watched.pop(as_text(item.get("call_id")), None)
        if call is not None and item.get("type") == _RESULT:
            yield replace(call, state=ToolState.DONE, output=as_text(item.get("output")))

    # ----------------------------------------------------------------- commands

    def encode(self, command: Command) -> list[str | bytes]:
        """Return the frames that carry out the command; none if it does not concern a call."""
        match command:
            case AppendAudio() | CommitAudio() | ClearAudio() | SeedCall():
                return []
            case ToolResult() if self._call.watches:
                return []
            case CreateMessage(item_id) | DeleteItem(item_id) if item_id.startswith(_OWN_ITEMS):
                command = replace(command, item_id=f"{item_id}{self._tag}")
            case UpdateSession() if self._has_settings and not self._session:
                super()._update(command.settings)
                return [self._unchanged(command)]
        return super().encode(command)

    def _update(self, settings: SessionSettings) -> Message:
        """Return the update without sound and voice, which `accept` has set."""
        is_first = not self._session
        update: Any = super()._update(settings)
        session = dict(update["session"])
        if "audio" in session:
            audio = {name: dict(each) for name, each in session["audio"].items()}
            for each in audio.values():
                each.pop("format", None)
            if is_first and "output" in audio:
                audio["output"].pop("voice", None)
            session["audio"] = {name: each for name, each in audio.items() if each}
        return {"session": session}


_MOST_WATCHED = 256
"""Calls of tools whose results are awaited."""


def _is_fatal(event: Event) -> bool:
    return isinstance(event, ProviderError) and event.fatal
