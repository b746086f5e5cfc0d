"""The errors a person may see, and the type that keeps secrets out of them.

VoicechatError            one sentence, a hint, an exit code
├── UsageError            2  a flag, an argument or a setting is wrong
├── KeyMissing            3  no key, or the provider refused it
├── ConnectError          4  nobody answers, or not as a realtime endpoint
├── SessionLost           5  the connection ended and could not be restored
├── SoundError            6  no microphone, no speaker, no sound library
└── ServerError           7  the embedded voice could not start
"""

from __future__ import annotations


class Secret:
    """A key that does not show itself: `str`, `repr`, formatting and pickling give stars.

    Call `reveal()` at the last moment, where the socket or the request needs it.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The key itself; never for a log, an exception, a URL or an argument list."""
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "Secret('***')"

    def __str__(self) -> str:
        return "***"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a secret cannot be pickled")


class VoicechatError(Exception):
    """A failure told to the person in one sentence. `hint` says what to do about it."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class UsageError(VoicechatError):
    """A flag, an argument or a setting is wrong; the message names it and where it stands."""

    exit_code = 2


class KeyMissing(VoicechatError):
    """There is no key for the provider, or the provider refused it."""

    exit_code = 3


class ConnectError(VoicechatError):
    """Nobody answered at the address, or not as a realtime endpoint."""

    exit_code = 4


class SessionLost(VoicechatError):
    """The connection ended and could not be restored."""

    exit_code = 5


class SoundError(VoicechatError):
    """No microphone, no speaker or no sound library."""

    exit_code = 6


class ServerError(VoicechatError):
    """The embedded voice could not start."""

    exit_code = 7
