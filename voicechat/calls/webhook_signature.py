"""Signatures of webhooks, and the ids of those that have been taken.

The signature is an HMAC-SHA256 over `ID.TIMESTAMP.BODY`, as the bytes arrived. A webhook may have
several, one for each secret while a secret is replaced.

Sources: Standard Webhooks, "Signature scheme" and "Verifying webhook authenticity"; OpenAI guide
"Webhooks", "Verifying webhook signatures".
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
import time
from base64 import b64decode
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

from voicechat.errors import Secret, UsageError

TOLERANCE_S = 300
"""Seconds by which the time of a webhook may differ from the clock here."""

MAX_IDS = 20_000
"""Ids that are remembered; the oldest is forgotten first."""

MAX_SIGNATURES = 16
MAX_SECRETS = 4
"""The new secret, and old ones while they are replaced."""

_PREFIX = "whsec_"
_ID = re.compile(r"[\x21-\x7e]{1,256}")
_TIME = re.compile(r"[0-9]{1,12}")


class WebhookRefused(Exception):
    """A webhook without a valid signature. Its text is a sentence without anything of the peer."""


def secret_keys(secret: Secret) -> list[bytes]:
    """Return the keys in secrets like `whsec_BASE64`, with white space between them.

    Raises `UsageError` for any other text.
    """
    words = secret.reveal().split()
    if len(words) > MAX_SECRETS:
        raise UsageError(f"There are more than {MAX_SECRETS} secrets of the webhook.")
    return [_key(word) for word in words or [""]]


def _key(text: str) -> bytes:
    if not text.startswith(_PREFIX):
        raise UsageError(
            f"The secret of the webhook does not begin with {_PREFIX}.",
            "Copy the secret that the provider showed when you created the webhook.",
        )
    try:
        encoded = text.removeprefix(_PREFIX).rstrip("=")
        key = b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise UsageError("The secret of the webhook is not complete.", "Copy it again.")
    return key


class WebhookSignature:
    """Verifies webhooks with a secret, or with several while one is replaced."""

    def __init__(self, secret: Secret, now: Callable[[], float] = time.time) -> None:
        """now: the clock in seconds since 1970. Raises `UsageError` for a wrong secret."""
        self._keys = secret_keys(secret)
        self._now = now

    def verify(self, headers: Mapping[str, Sequence[str]], body: bytes) -> str:
        """Return the id of a webhook that is signed and recent.

        headers: all values of each header by its name in small letters. Raises `WebhookRefused`.
        """
        webhook_id = _only(headers, "webhook-id", _ID)
        sent_at = _only(headers, "webhook-timestamp", _TIME)
        given = headers.get("webhook-signature", ())
        if len(given) != 1:
            raise WebhookRefused("The header webhook-signature is missing or not valid.")
        if abs(int(self._now()) - int(sent_at)) > TOLERANCE_S:
            raise WebhookRefused("The time of the webhook is too far from the clock here.")
        signed = b".".join((webhook_id.encode(), sent_at.encode(), body))
        expected = [hmac.new(key, signed, hashlib.sha256).digest() for key in self._keys]
        found = [_signature(each) for each in given[0].split(" ", MAX_SIGNATURES)[:MAX_SIGNATURES]]
        # No early end: the time must not tell which one fits.
        fits = [hmac.compare_digest(each, right) for each in found for right in expected]
        if not any(fits):
            raise WebhookRefused("The signature of the webhook is not valid.")
        return webhook_id


def _only(headers: Mapping[str, Sequence[str]], name: str, pattern: re.Pattern[str]) -> str:
    values = headers.get(name, ())
    if len(values) != 1 or not pattern.fullmatch(values[0]):
        raise WebhookRefused(f"The header {name} is missing or not valid.")
    return values[0]


def _signature(text: str) -> bytes:
    version, _, value = text.partition(",")
    if version != "v1" or len(value) > 64:
        return b""
    try:
        return b64decode(value.encode("ascii", "replace"), validate=True)
    except (binascii.Error, ValueError):
        return b""


class TakenWebhooks:
    """The ids of webhooks that were taken. A webhook that comes again has its id."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """now: seconds of a clock that never goes back."""
        self._now = now
        self._taken: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._taken)

    def take(self, webhook_id: str) -> bool:
        """Remember the id; return False if it was taken before."""
        now = self._now()
        # One that is older is refused because of its time.
        while self._taken and next(iter(self._taken.values())) < now - 2 * TOLERANCE_S:
            self._taken.popitem(last=False)
        if webhook_id in self._taken:
            return False
        self._taken[webhook_id] = now
        while len(self._taken) > MAX_IDS:
            self._taken.popitem(last=False)
        return True
