"""The errors that a user may see, with their exit codes, and the type that keeps keys secret.

Exit code 0 is success. Ctrl-C exits with 130, and a broken pipe with 141.

VoicechatError            1  a message and a hint; unexpected errors exit with 1 too
├── UsageError            2  wrong flag, argument or setting
├── KeyMissing            3  missing or rejected key
├── ConnectError          4  no server at the address, or not a realtime endpoint
│   └── CallEnded         4  the phone call is over, or never was
├── SessionLost           5  connection lost for good
├── SoundError            6  no microphone, no speaker or no sound library
├── ServerError           7  the embedded voice could not start
└── BudgetSpent           8  a budget is used up
"""

from __future__ import annotations

from typing import TypeVar

Failure = TypeVar("Failure", bound=BaseException)


class Secret:
    """A key that `str`, `repr` and formatting show as stars, and that cannot be pickled.

    Call `reveal()` at the last moment, where the socket or the request needs the key.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The key itself. Never put it into a log, an exception, a URL or an argument list."""
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
    """A failure with a message for the user. `message` says what happened, `hint` what to do."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class UsageError(VoicechatError):
    """A flag, an argument or a setting is wrong; the message names it and its place."""

    exit_code = 2


class KeyMissing(VoicechatError):
    """There is no key for the provider, or the provider refused it."""

    exit_code = 3


class ConnectError(VoicechatError):
    """No server answers at the address, or it is not a realtime endpoint."""

    exit_code = 4


class CallEnded(ConnectError):
    """The phone call of a session is over, or never was."""


SOCKS_HINT = "Type: pip install 'voicechat[socks]'"


def unusable_proxy() -> ConnectError:
    """Return the error for a SOCKS proxy without the package that HTTP requests need for it."""
    return ConnectError("SOCKS proxies need a part that is not installed.", SOCKS_HINT)


class SessionLost(VoicechatError):
    """The connection ended and could not be restored."""

    exit_code = 5


class SoundError(VoicechatError):
    """There is no microphone, no speaker or no sound library."""

    exit_code = 6


class ServerError(VoicechatError):
    """The embedded voice could not start."""

    exit_code = 7


class BudgetSpent(VoicechatError):
    """A budget is used up, so no further response is requested."""

    exit_code = 8


def first_error(group: BaseExceptionGroup[Failure]) -> Failure:
    """Return the first single exception in nested groups.

    Raise it only after the `except*` clause: Python before 3.11.4 wraps what a clause raises in
    another group.
    """
    for each in group.exceptions:
        return first_error(each) if isinstance(each, BaseExceptionGroup) else each
    raise AssertionError("an exception group is never empty")
