"""The checkup: machine, sound, embedded voice and network, concurrently and with deadlines."""

from __future__ import annotations

import asyncio
import getpass
import os
import socket
import sys
import time
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from voicechat.audio.devices.device_probe import ProbeRequest, ProbeResult, probe
from voicechat.config import loader, remembered_devices
from voicechat.config.options import Options
from voicechat.doctor import machine_findings, network_findings, sound_findings
from voicechat.doctor.environment import Environment, Storage, snapshot
from voicechat.doctor.findings import Finding, Redactor, note, ok, problem
from voicechat.errors import UsageError, VoicechatError
from voicechat.providers import catalog
from voicechat.providers.provider import Provider
from voicechat.session.local_server import LocalServer
from voicechat.system.daemon_call import call_with_deadline
from voicechat.system.loopback import is_loopback

SNAPSHOT_S = 3.0
SOUND_S = 5.5
VOICE_S = 4.5
SESSION_S = 4.5


async def check_up(*, quick: bool = False, connect: bool = False) -> list[Finding]:
    """Return the findings about this machine; takes about six seconds.

    `quick` skips the chirp and the embedded voice; `connect` opens and closes a session with the
    chosen provider. The findings contain no personal names or keys.
    """
    found: list[Finding] = []
    try:
        options = remembered_devices.fill_devices(loader.load())
        found += [note("Settings", warning) for warning in options.warnings]
    except UsageError as error:
        found.append(problem("Settings", error.message, error.hint or "Correct the setting."))
        options = Options()
    choice, model_findings = _choice(options)
    environment, probed, voice, network = await asyncio.gather(
        _machine(),
        call_with_deadline(lambda: probe(_probe_request(options, quick), SOUND_S), SOUND_S + 1.0),
        _no_findings() if quick else _embedded_voice(options, choice),
        _network(options, choice if connect else None, _chosen_provider(options, choice)),
    )
    redactor = _redactor(options)
    sound = sound_findings.findings(without_owners(probed, redactor), environment)
    # A finding about sound replaces that of the snapshot with the same title.
    known = {each.title for each in sound}
    found += [each for each in machine_findings.findings(environment) if each.title not in known]
    found += [*sound, *voice, *model_findings, *network]
    return [redactor.redact_finding(finding) for finding in found]


def without_owners(probed: ProbeResult, redactor: Redactor) -> ProbeResult:
    """Return the probe result without personal names in its device names."""
    name = redactor.redact_device_name
    trial = probed.trial and replace(
        probed.trial,
        microphone=probed.trial.microphone and name(probed.trial.microphone),
        speaker=probed.trial.speaker and name(probed.trial.speaker),
        problems=tuple((name(what), name(hint)) for what, hint in probed.trial.problems),
        clockless=tuple(name(each) for each in probed.trial.clockless),
    )
    devices = tuple(replace(each, name=name(each.name)) for each in probed.devices)
    return replace(probed, devices=devices, trial=trial)


def _probe_request(options: Options, quick: bool) -> ProbeRequest:
    return ProbeRequest(options.input_device, options.output_device, listen=True, chirp=not quick)


async def _machine() -> Environment:
    try:
        return await call_with_deadline(snapshot, SNAPSHOT_S)
    except TimeoutError:
        # A file system hangs; report it as the data folder, which voicechat needs.
        return Environment(system=sys.platform, storage=Storage("its folder", writable=False))


async def _no_findings() -> list[Finding]:
    return []


async def _embedded_voice(options: Options, choice: catalog.ModelChoice | None) -> list[Finding]:
    began = time.monotonic()
    warnings: list[str] = []
    server = LocalServer(options, on_warning=warnings.append)
    try:
        await server.start(VOICE_S)
        took = time.monotonic() - began
    except VoicechatError as error:
        if time.monotonic() - began >= VOICE_S:
            return [
                note(
                    "Embedded voice",
                    f"The embedded voice was not ready within {VOICE_S:g} s.",
                    "A busy machine takes longer; run voicechat serve to see the progress.",
                )
            ]
        make = problem if choice is None or choice.needs_local_server else note
        return [make("Embedded voice", error.message, error.hint or "Install voicechat again.")]
    finally:
        await server.stop()
    failed = [note("Embedded voice", sentence) for sentence in warnings]
    return [*failed, ok("Embedded voice", f"The embedded voice was ready after {took:.1f} s.")]


# ------------------------------------------------------------------------------- the network


async def _network(
    options: Options, session: catalog.ModelChoice | None, provider: str
) -> list[Finding]:
    """Reach each provider in use; then open a session with one of them if its address answers."""
    targets = _targets(options, provider)
    results = await asyncio.gather(*(network_findings.reach(target) for target in targets))
    found = network_findings.findings(list(results))
    broken = any(each.failure and each.target.is_chosen for each in results)
    if session is None or session.needs_local_server or broken:
        return found
    return [*found, await _session(session)]


def _choice(options: Options) -> tuple[catalog.ModelChoice | None, list[Finding]]:
    """The provider and model of the settings, with the findings about that choice."""
    try:
        choice = catalog.resolve(
            options.model,
            base_url=options.base_url,
            environ=options.environ,
            wire=options.wire,
        )
    except VoicechatError as error:
        return None, [problem("Model", error.message, error.hint or "Choose another --model.")]
    return choice, [ok("Model", choice.why)]


def _chosen_provider(options: Options, choice: catalog.ModelChoice | None) -> str:
    """The name of the provider in the settings, even when the choice is wrong."""
    return choice.provider if choice else (options.model or "").partition("/")[0]


def _own_address(provider: Provider, options: Options) -> str | None:
    """The user's address for a provider; None without one or if it is invalid."""
    try:
        return catalog.address_of(provider, options.environ)
    except UsageError:
        return None


def _targets(options: Options, chosen: str) -> list[network_findings.Target]:
    targets = []
    for provider in catalog.every_provider().values():
        is_chosen = provider.name == chosen
        own = (options.base_url if is_chosen else None) or _own_address(provider, options)
        key = next((name for name in provider.key_variables if name in options.keys), None)
        # A server at the user's own address may need no key.
        variable = key or (None if own else provider.key_variable)
        address = own or provider.url
        is_in_use = is_chosen or own or key
        if address and is_in_use:
            targets.append(
                network_findings.Target(
                    provider.name,
                    address,
                    variable,
                    has_key=key is not None,
                    is_chosen=is_chosen,
                    is_private=bool(own),
                )
            )
    for title, address in (
        ("Chat URL", options.chat_url),
        ("Recognizer", options.stt),
        ("Voice", options.tts),
    ):
        if address and address.startswith("http"):
            targets.append(network_findings.Target(title, address, is_chosen=True, is_private=True))
    return targets


async def _session(choice: catalog.ModelChoice) -> Finding:
    """Open and close a session."""
    from voicechat.transports.websocket import dial

    began = time.monotonic()
    try:
        connection = await dial(choice.codec().endpoint(), deadline=SESSION_S)
    except VoicechatError as error:
        return problem("Session", error.message, error.hint or "Try again later.")
    took_ms = (time.monotonic() - began) * 1000
    await connection.close()
    return ok("Session", f"{choice.name} opens a session in {took_ms:.0f} ms.")


# --------------------------------------------------------------------------------- redactor


def _redactor(options: Options) -> Redactor:
    providers = catalog.every_provider().values()
    addresses = [options.base_url, options.chat_url, options.stt, options.tts]
    addresses += [_own_address(provider, options) for provider in providers]
    own = [host for each in addresses if (host := urlsplit(each or "").hostname)]
    public = {urlsplit(p.url).hostname for p in providers if p.url}
    return Redactor(
        home=str(Path.home()),
        names=[*_user(), socket.gethostname(), socket.gethostname().partition(".")[0]],
        secrets=options.keys.values(),
        hosts=[host for host in own if host not in public and not is_loopback(host)],
    )


def _user() -> list[str]:
    try:
        return [getpass.getuser()]
    except (OSError, KeyError, ImportError):
        return [name for name in (os.environ.get("USER"), os.environ.get("USERNAME")) if name]
