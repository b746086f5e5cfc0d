"""TLS with real certificates: only a valid one for this host is accepted."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from pathlib import Path

import pytest

pytest.importorskip("cryptography", reason="it is installed with the extra mcp")

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from websockets.asyncio.server import ServerConnection, serve

from voicechat.system.dial_target import DialTarget
from voicechat.transports.websocket import DialFailed, dial

DAY = datetime.timedelta(days=1)
Key = ec.EllipticCurvePrivateKey


class Authority:
    """A certificate authority."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._certificate(self._name, self._key.public_key(), 1, is_authority=True)
        self.path = folder / f"{name}.pem"
        self.path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def _certificate(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        days: int,
        *,
        is_authority: bool = False,
        host: str = "127.0.0.1",
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        address = x509.IPAddress(ipaddress.ip_address(host))
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 9 * DAY)
            .not_valid_after(now + days * DAY)
            .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
            .add_extension(x509.SubjectAlternativeName([address]), critical=False)
            .sign(self._key, hashes.SHA256())
        )

    def server(self, days: int = 1, host: str = "127.0.0.1") -> ssl.SSLContext:
        """Return the context of a server whose certificate ends in `days` days."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server")])
        certificate = self._certificate(name, key.public_key(), days, host=host)
        path = self._folder / "server.pem"
        secret = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        path.write_bytes(secret + certificate.public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


@pytest.mark.parametrize(
    ("trusted", "days", "host", "reason"),
    [
        (True, 1, "127.0.0.1", ""),
        (False, 1, "127.0.0.1", "cannot be trusted"),
        (True, -1, "127.0.0.1", "certificate has expired"),
        (True, 1, "127.0.0.2", "IP address mismatch"),
    ],
)
async def test_only_a_valid_certificate_is_accepted(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    trusted: bool,
    days: int,
    host: str,
    reason: str,
) -> None:
    ours, theirs = Authority(tmp_path, "ours"), Authority(tmp_path, "theirs")
    monkeypatch.setenv("SSL_CERT_FILE", str(ours.path))
    context = (ours if trusted else theirs).server(days, host)

    async def greet(socket: ServerConnection) -> None:
        await socket.send("hello")
        await socket.wait_closed()

    async with serve(greet, "127.0.0.1", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        target = DialTarget(f"wss://127.0.0.1:{port}/v1/realtime", {})
        if reason:
            with pytest.raises(DialFailed, match=reason) as refused:
                await dial(target)
            assert not refused.value.retry
            return
        connection = await dial(target)
        assert await anext(aiter(connection)) == "hello"
        await connection.close()
