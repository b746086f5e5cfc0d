"""A phone call that waits for an answer, as the webhook of a provider announces it.

Source: types of the `openai` package 3.57, `types/webhooks`: `realtime.call.incoming`,
`live.transport.incoming` and the older `live.call.incoming`. One call may cause an event of both
kinds; the first `accept` decides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

import msgspec

from voicechat.config.joined_call import JoinedCall
from voicechat.core.text import clean
from voicechat.errors import UsageError

MAX_HEADERS = 64
"""Headers of SIP that are kept."""

MAX_CHARS = 300
"""Characters of a header that are kept."""

MAX_ADDRESS = 4_000
"""Characters of a header that are read for the number of a caller."""

_ID_OF = {
    "realtime.call.incoming": "call_id",
    "live.transport.incoming": "session_id",
    "live.call.incoming": "session_id",
}
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"?')
"""A name that the caller chose, which may look like an address (RFC 3261, 25.1)."""

_ADDRESS = re.compile(r"(?:sips?|tel):([^@;>?\s]+)", re.IGNORECASE)
_NUMBER = re.compile(r"\+?[0-9().-]+")
_HIDDEN = frozenset({"anonymous", "restricted", "private", "unavailable"})
"""Names instead of a number that is hidden (RFC 3323, 4.1.1.3, and usual others)."""

_SHORT_NAMES = {"from": ("from", "f"), "to": ("to", "t")}
"""Names of a header, with the short form (RFC 3261, 7.3.3)."""


class NoCall(Exception):
    """A webhook that announces no call. Its text is a sentence."""


class OtherEvent(NoCall):
    """A webhook about something else."""


class _Header(msgspec.Struct):
    name: str = ""
    value: str = ""


class _Data(msgspec.Struct):
    call_id: str = ""
    session_id: str = ""
    sip_headers: list[_Header] | None = None


class _Event(msgspec.Struct):
    type: str
    data: _Data | None = None


@dataclass(frozen=True, slots=True)
class IncomingCall:
    """A call that rings. Its texts come from the caller and may claim anything."""

    call_id: str
    """Of a Live model, the id of the session."""
    caller: str
    """The number or the name in the header From, such as +15551234567; empty if it is hidden."""
    called: str
    """The same of the header To."""
    headers: tuple[tuple[str, str], ...] = ()
    """Name and value of the headers of SIP."""

    @property
    def joined(self) -> JoinedCall:
        """The call for a session."""
        return JoinedCall(self.call_id)

    def header(self, name: str) -> str:
        """Return the first header of this name in any case; empty without one."""
        wanted = name.casefold()
        return next((value for each, value in self.headers if each.casefold() == wanted), "")


def incoming_call(body: bytes) -> IncomingCall:
    """Return the call in the body of a webhook. Raises `NoCall`, `OtherEvent` for other events."""
    try:
        event = msgspec.json.decode(body, type=_Event)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise NoCall("The body is not an event.") from None
    field = _ID_OF.get(event.type)
    if field is None:
        raise OtherEvent("This event announces no call.")
    data = event.data or _Data()
    given = data.sip_headers or []
    headers = tuple((_cleaned(each.name), _cleaned(each.value)) for each in given[:MAX_HEADERS])
    caller, called = (_party(given, name) for name in ("from", "to"))
    found = IncomingCall(str(getattr(data, field)), caller, called, headers)
    try:
        joined = found.joined
    except UsageError:
        raise NoCall("The event names no call.") from None
    if joined.is_live is not (field == "session_id"):
        raise NoCall("The event names a call of another kind.")
    return found


def _cleaned(text: str) -> str:
    return " ".join(clean(text[: 2 * MAX_CHARS]).split())[:MAX_CHARS]


def _party(headers: list[_Header], name: str) -> str:
    """Return the number or name in an address like `"Ann" <sip:+15551234567@host>;tag=1`.

    A number has no separators, so that a rule covers all its forms; a hidden one is empty.
    """
    names = _SHORT_NAMES[name]
    value = next((each.value for each in headers if each.name.strip().casefold() in names), "")
    value = _QUOTED.sub("", value[:MAX_ADDRESS])
    found = _ADDRESS.search(value.partition("<")[2] or value)
    party = _cleaned(unquote(found[1])) if found else ""
    if _NUMBER.fullmatch(party):
        return re.sub(r"[().-]", "", party)
    return "" if party.casefold() in _HIDDEN else party
