"""A phone call at the provider that a session joins."""

from __future__ import annotations

import re
from dataclasses import dataclass

from voicechat.core.text import clean
from voicechat.errors import UsageError

_ID = re.compile(r"[A-Za-z0-9_-]{1,200}")
_LIVE = "live_"
"""Start of the ids of sessions of continuous models."""


@dataclass(frozen=True, slots=True)
class JoinedCall:
    """A call by its id; its sound is between the phone and the provider.

    Raises `UsageError` for an id that no call has.
    """

    call_id: str
    watches: bool = False
    """True to see the call only: another program has its settings and runs its tools."""

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.call_id):
            raise UsageError(
                f"{clean(self.call_id)[:60]!r} is not the id of a call.",
                "It looks like rtc_0123 or live_0123.",
            )

    @property
    def is_live(self) -> bool:
        """True for a session of a continuous model, which has other addresses."""
        return self.call_id.startswith(_LIVE)
