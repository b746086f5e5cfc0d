"""Keys in the keyring of the desktop, for programs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from voicechat.config import key_store, loader
from voicechat.errors import KeyMissing
from voicechat.system.daemon_call import call_with_deadline

if TYPE_CHECKING:
    from voicechat.config.options import Options


async def read_keyring() -> None:
    """Read the keys that `voicechat login` put into the keyring, so that `connect` has them.

    The keyring may ask the user for its password; the event loop runs meanwhile. Does nothing if
    the keyring has no key for voicechat. Raises `KeyMissing` if it does not answer within 20 s.
    """
    unread = loader.load().keyring_keys
    if unread:
        work = key_store.read_keyring
        problems = await call_with_deadline(lambda: work(unread), key_store.READ_S + 1)
        if problems:
            raise KeyMissing(problems[0])


def unlock(options: Options) -> bool:
    """Read the keys of these options from the keyring, unless a loop runs; True if it read some.

    Raises `KeyMissing` if a loop runs and the model needs one of them.
    """
    from voicechat.providers.catalog import provider_named

    provider = provider_named((options.model or "").partition("/")[0])
    wanted = options.keyring_keys
    if provider is not None:
        has_key = options.key(*provider.key_variables) is not None
        wanted = tuple(name for name in wanted if name in provider.key_variables and not has_key)
    if not wanted:
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return not key_store.read_keyring(wanted)
    raise KeyMissing(
        f"{wanted[0]} is in the keyring, which can wait for a password.",
        "Await voicechat.read_keyring() before voicechat.connect, or pass api_key.",
    )
