"""Keys that `voicechat login` keeps, in the keyring of the desktop or in a private file.

`keys.json` next to the settings file has an entry for each of them, by the name of its variable.
The entry says which of the two keeps the key; only the file's keys are in it. The keyring can wait
for the user's password, so it is read on request (`read_keyring`), never while settings are loaded.
What was read is remembered until the process ends.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from voicechat.core.text import clean
from voicechat.errors import KeyMissing, Secret, UsageError
from voicechat.system.private_files import locked, read_text, require_private, write_private

FILE_NAME = "keys.json"

SERVICE = "voicechat"
"""The name under which the keyring keeps the keys."""

READ_S, STORE_S = 20.0, 60.0
"""Seconds in which the user can unlock the keyring."""

_USABLE_PRIORITY = 1
"""Priority of a keyring backend that the package recommends. The null backend has -1."""

T = TypeVar("T")

_unlocked: dict[str, Secret] = {}
"""Keys that were read from the keyring, by variable."""


class KeyPlace(StrEnum):
    """A place that keeps a key."""

    ENVIRONMENT = "environment"
    SETTINGS = "settings file"
    KEYRING = "keyring"
    FILE = "private file"


@dataclass(frozen=True, slots=True)
class StoredKeys:
    """The stored keys by variable, as far as they can be read without the keyring."""

    places: Mapping[str, KeyPlace] = field(default_factory=dict)
    keys: Mapping[str, Secret] = field(default_factory=dict, repr=False)
    """The keys of the private file, and those that were read from the keyring."""

    @property
    def unread(self) -> tuple[str, ...]:
        """The variables whose key is in the keyring and was not read."""
        return tuple(name for name in self.places if name not in self.keys)


def stored_keys(path: Path) -> StoredKeys:
    """Return the stored keys; `path` is that of `keys.json`, which need not exist.

    Raises `UsageError` for a file that is damaged or belongs to another user.
    """
    places, keys = {}, {}
    for name, text in _read(path).items():
        places[name] = KeyPlace.KEYRING if text is None else KeyPlace.FILE
        found = _unlocked.get(name) if text is None else Secret(text)
        if found is not None:
            keys[name] = found
    return StoredKeys(places, keys)


class _NoKeyring(KeyMissing):
    """This system has no keyring, or the package for it is absent."""


def keyring_name() -> tuple[str, str]:
    """Return the name of the keyring, or an empty one and a sentence about the reason.

    Call it before the loop runs. Raises `KeyMissing` if the keyring does not answer.
    """
    try:
        return _asked(lambda: _name_of(_backend()), READ_S), ""
    except _NoKeyring as error:
        return "", str(error)


def store(path: Path, variable: str, key: Secret, *, in_keyring: bool) -> None:
    """Keep a key; it replaces one of the same variable. Call it before the loop runs.

    Raises `KeyMissing` if the keyring refuses it, `UsageError` if the file cannot be written.
    """
    if in_keyring:
        _asked(lambda: _backend().set_password(SERVICE, variable, key.reveal()), STORE_S, key)
        _unlocked[variable] = key
    _change(path, {variable: None if in_keyring else key.reveal()})


def forget(path: Path, variables: Collection[str]) -> list[str]:
    """Remove the keys of these variables; return those that were kept.

    Raises `KeyMissing` if the keyring refuses it, `UsageError` if the file cannot be written.
    """
    entries = _read(path)
    kept = [name for name in variables if name in entries]
    in_keyring = [name for name in kept if entries[name] is None]
    if in_keyring:
        _asked(partial(_delete, in_keyring), STORE_S)
    if kept:
        _change(path, {}, kept)
    for name in kept:
        _unlocked.pop(name, None)
    return kept


def read_keyring(variables: Collection[str], deadline: float = READ_S) -> list[str]:
    """Read these keys from the keyring, so that the next `load` has them.

    Blocks until the keyring answers, at most `deadline` seconds: call it before the loop runs or
    on a thread. Returns a sentence for each key that could not be read.
    """

    def read() -> dict[str, str | None]:
        backend = _backend()
        return {name: backend.get_password(SERVICE, name) for name in variables}

    try:
        found = _asked(read, deadline)
    except KeyMissing as error:
        return [str(error)]
    _unlocked.update({name: Secret(text) for name, text in found.items() if text})
    return [
        f"{name} is no longer in the keyring. Log in again with voicechat login."
        for name, text in found.items()
        if not text
    ]


def _asked(work: Callable[[], T], deadline: float, key: Secret | None = None) -> T:
    """Call the keyring on a thread. Raises `KeyMissing` when it fails or does not answer.

    key: what its errors must not show.
    """
    from voicechat.system.daemon_call import wait_with_deadline

    try:
        return wait_with_deadline(work, deadline)
    except TimeoutError:
        raise KeyMissing(
            f"The keyring did not answer within {deadline:g} s.",
            "Unlock it and try again, or set the key in the environment.",
        ) from None
    except KeyMissing:
        raise
    except Exception as error:  # backends of other packages raise errors of any class
        text = str(error).replace(key.reveal(), str(key)) if key else str(error)
        reason = clean(text).strip().rstrip(".")[:120] or type(error).__name__
        raise KeyMissing(
            f"The keyring failed: {reason}.", "Unlock it, or set the key in the environment."
        ) from None


def _backend() -> Any:
    """Return the keyring that the package `keyring` chooses. Raises `_NoKeyring`."""
    try:
        import keyring
    except ImportError:
        raise _NoKeyring(
            "The package keyring is not installed.", "Type: pip install voicechat[keyring]"
        ) from None
    found = keyring.get_keyring()
    if found.priority < _USABLE_PRIORITY:
        raise _NoKeyring("This system has no usable keyring.")
    return found


def _name_of(backend: Any) -> str:
    return clean(str(backend.name))[:60]


def _delete(names: Collection[str]) -> None:
    backend = _backend()
    for name in names:
        if backend.get_password(SERVICE, name) is not None:
            backend.delete_password(SERVICE, name)


def _read(path: Path) -> dict[str, str | None]:
    """Return the entries of the file: the key, or None if the keyring keeps it."""
    text, status = read_text(path)
    if status is None:
        return {}
    require_private(path, status)
    try:
        found = json.loads(text)
        return {str(name): _entry(value) for name, value in found.items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise UsageError(f"{path} is damaged.", "Delete it and log in again.") from None


def _entry(value: Mapping[str, str]) -> str | None:
    if value["place"] == KeyPlace.KEYRING.value:
        return None
    if not isinstance(value["key"], str) or not value["key"].strip():
        raise ValueError
    return value["key"].strip()


def _change(path: Path, added: Mapping[str, str | None], removed: Collection[str] = ()) -> None:
    try:
        with locked(path):
            entries = {name: text for name, text in _read(path).items() if name not in removed}
            entries.update(added)
            content = {
                name: {"place": KeyPlace.KEYRING.value}
                if text is None
                else {"place": KeyPlace.FILE.value, "key": text}
                for name, text in entries.items()
            }
            write_private(path, json.dumps(content, indent=2).encode())
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UsageError(f"{path} cannot be written: {reason}.") from None
