"""Keyrings for tests: backends of the package `keyring`, and a real Secret Service."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend

PROGRAMS = ("dbus-daemon", "gnome-keyring-daemon")


class MemoryKeyring(KeyringBackend):
    """A keyring in memory; `locked` makes it wait for a password that never comes."""

    priority = 5

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kept: dict[tuple[str, str], str] = {}
        self.failure: Exception | None = None
        self.unlocked = threading.Event()
        self.unlocked.set()

    def _wait(self) -> None:
        if self.failure is not None:
            raise self.failure
        self.unlocked.wait()

    def get_password(self, service: str, username: str) -> str | None:
        self._wait()
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._wait()
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        self._wait()
        del self.kept[service, username]


@contextmanager
def in_use(backend: KeyringBackend) -> Iterator[None]:
    """Let the package `keyring` use this backend."""
    before = keyring.get_keyring()
    keyring.set_keyring(backend)
    try:
        yield
    finally:
        keyring.set_keyring(before)


@contextmanager
def secret_service(folder: Path) -> Iterator[dict[str, str]]:
    """Start a D-Bus of its own with an unlocked GNOME keyring on it; the variables to reach it.

    Skips the test where there is none: the package brings GTK, and only CI installs it.
    """
    if absent := ", ".join(name for name in PROGRAMS if not shutil.which(name)):
        pytest.skip(f"{absent} is absent; on Debian: apt-get install dbus gnome-keyring")
    runtime, home = folder / "runtime", folder / "home"
    runtime.mkdir(mode=0o700)
    home.mkdir()
    environ = {
        **os.environ, "XDG_RUNTIME_DIR": str(runtime), "HOME": str(home),
        "XDG_DATA_HOME": str(home), "GNOME_KEYRING_CONTROL": "",
    }  # fmt: skip
    command = ["dbus-daemon", "--session", "--nofork", "--print-address=1"]
    bus = subprocess.Popen(
        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert bus.stdout is not None
    environ["DBUS_SESSION_BUS_ADDRESS"] = bus.stdout.readline().strip()
    daemon = subprocess.Popen(
        ["gnome-keyring-daemon", "--foreground", "--unlock", "--components=secrets"],
        env=environ, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert daemon.stdin is not None
        daemon.stdin.write(b"password of the keyring")
        daemon.stdin.close()
        _wait_for_name(environ)
        yield {name: environ[name] for name in ("DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR")}
    finally:
        for process in (daemon, bus):
            process.kill()
            process.wait(10)
        bus.stdout.close()


def _wait_for_name(environ: dict[str, str]) -> None:
    """Wait until the keyring is on the bus."""
    from jeepney import DBusAddress, MatchRule, message_bus, new_method_call
    from jeepney.io.blocking import open_dbus_connection

    name = "org.freedesktop.secrets"
    with open_dbus_connection(environ["DBUS_SESSION_BUS_ADDRESS"]) as connection:
        rule = MatchRule(type="signal", interface=message_bus.interface, member="NameOwnerChanged")
        bus = DBusAddress("/org/freedesktop/DBus", message_bus.bus_name, message_bus.interface)
        with connection.filter(rule) as changes:
            connection.send_and_get_reply(message_bus.AddMatch(rule), timeout=10)
            owned = new_method_call(bus, "NameHasOwner", "s", (name,))
            if connection.send_and_get_reply(owned, timeout=10).body[0]:
                return
            while connection.recv_until_filtered(changes, timeout=10).body[0] != name:
                continue
