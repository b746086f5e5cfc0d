"""TLS for the server: its certificate and its private key."""

from __future__ import annotations

import ssl
from pathlib import Path

from voicechat.errors import UsageError

CLEAR_TEXT = (
    "Other machines reach this server without encryption, so others on the network can read the"
    " token and the speech. Add --tls-cert and --tls-key, or listen on 127.0.0.1 behind a proxy"
    " with TLS."
)
"""The warning when other machines can connect without TLS."""


class _Encrypted(Exception):
    """The private key needs a password."""


def server_context(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """Load the files; return None without a certificate.

    certificate: PEM file with the chain. key: PEM file; None if the key is in the same file. Raises
    `UsageError` if they cannot be used.
    """
    if certificate is None:
        if key is not None:
            raise UsageError("--tls-key needs a certificate.", "Add --tls-cert.")
        return None
    for flag, path in (("--tls-cert", certificate), ("--tls-key", key)):
        _check_readable(flag, path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key, _no_password)
    except _Encrypted:
        raise UsageError(
            f"The private key in {key or certificate} is encrypted.",
            "Store it without a password, readable by you only.",
        ) from None
    except (ssl.SSLError, OSError) as error:
        holders = f"{certificate} and {key} hold" if key else f"{certificate} holds"
        raise UsageError(
            f"{holders} no certificate with its private key.",
            "Pass PEM files that belong together with --tls-cert and --tls-key.",
        ) from error
    return context


def _check_readable(flag: str, path: Path | None) -> None:
    try:
        if path is not None:
            path.open("rb").close()
    except OSError as error:
        raise UsageError(
            f"Cannot read {path}: {error.strerror or error}.", f"Check {flag}."
        ) from error


def _no_password() -> str:
    # Without this, OpenSSL asks on the terminal.
    raise _Encrypted
