"""The slash commands of the event console, and the values that complete them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from voicechat.errors import UsageError

if TYPE_CHECKING:
    from voicechat.session.session import Session


def console(session: Session, text: str) -> None:
    """Open or close the event console, or open it with a filter."""
    session.request_console(text)


def send_event(session: Session, text: str) -> str:
    """Send an event of the connection's wire. Raises `UsageError` if the wire has none like it."""
    if not text:
        names = ", ".join(each.name for each in session.client_events)
        known = f"Known types: {names}." if names else "This provider does not name its types."
        raise UsageError("/event takes an event as JSON.", known)
    session.send_event(text)
    return "Sent."


def client_events(session: Session, argument: str) -> Sequence[str]:
    """Offer an example of each event type of the connection."""
    return [each.text for each in session.client_events]


def filters(session: Session, argument: str) -> Sequence[str]:
    """Offer the words of a filter."""
    return ("off", "errors", "sent", "received", "type:", "item:")


def has_connection(session: Session) -> bool:
    """Return True if events can be sent."""
    return bool(session.client_events)
