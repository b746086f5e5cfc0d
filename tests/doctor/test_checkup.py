"""`voicechat devices` and `voicechat doctor` in processes of their own."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from virtual_audio import VirtualCard

from voicechat.audio.devices.device_list import Device
from voicechat.audio.devices.device_probe import LoopbackResult, ProbeResult
from voicechat.cli.app import main
from voicechat.config import loader
from voicechat.doctor import checkup
from voicechat.doctor.checkup import without_owners
from voicechat.doctor.findings import Redactor

Run = Callable[..., subprocess.CompletedProcess[str]]
KEY = "sk-this-must-never-be-seen"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run `voicechat` without the settings, keys and sound of this user."""
    foreign = ("VOICECHAT_", "OPENAI_", "PULSE_", "ALSA_", "SSH_", "COV_")
    environ = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(foreign) and not name.lower().endswith(("_key", "_proxy"))
    }
    for name in ("CONFIG", "STATE", "DATA", "CACHE"):
        environ[f"XDG_{name}_HOME"] = str(tmp_path / "home" / name)
    environ |= {"HOME": str(tmp_path / "home"), "XDG_RUNTIME_DIR": str(tmp_path)}

    def voicechat(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-P", "-m", "voicechat", *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
            env=environ | more,
        )

    return voicechat


@pytest.fixture
def no_sound(tmp_path: Path) -> dict[str, str]:
    """Variables that point ALSA at a server that does not exist."""
    plugin = f'type pulse server "unix:{tmp_path}/none"'
    conf = tmp_path / "asound.conf"
    conf.write_text(f"pcm.!default {{ {plugin} }}\nctl.!default {{ {plugin} }}\n")
    return {"ALSA_CONFIG_PATH": str(conf), "JACK_NO_START_SERVER": "1"}


def titles(printed: str) -> dict[str, str]:
    """The highest level by title in the output of `doctor --json`."""
    found = json.loads(printed)["findings"]
    order = ["ok", "note", "problem"]
    levels: dict[str, str] = {}
    for each in found:
        levels[each["title"]] = max(levels.get(each["title"], "ok"), each["level"], key=order.index)
    return levels


@pytest.mark.sound
def test_devices_are_listed(run: Run, card: VirtualCard) -> None:
    done = run("devices", **card.environment)
    assert (done.returncode, done.stderr) == (0, "")
    head, *lines = done.stdout.splitlines()
    assert head == "Microphones:"
    assert re.fullmatch(r">\*   \d  default \(ALSA\), .*8/16/24/44.1/48 kHz", lines[0])
    (entry,) = json.loads(run("devices", "--json", **card.environment).stdout)["inputs"]
    assert (entry["default"], entry["chosen"]) == (True, True)


@pytest.mark.sound
def test_a_setting_without_a_matching_device_is_reported(run: Run, card: VirtualCard) -> None:
    done = run("devices", VOICECHAT_INPUT_DEVICE="Radio", **card.environment)
    assert done.returncode == 0
    assert done.stderr.startswith("voicechat: No microphone has 'Radio' in its name.")
    assert "> " not in done.stdout.partition("Speakers:")[0]


@pytest.mark.sound
def test_the_remembered_device_is_marked_as_used(
    run: Run, card: VirtualCard, tmp_path: Path
) -> None:
    card.route_as_desktop()
    card.add("kitchen", "Kitchen")
    folder = tmp_path / "home" / "STATE" / "voicechat"
    folder.mkdir(parents=True)
    (folder / "devices.json").write_text('{"output_device": "kitch", "input_device": "kitch"}')
    done = run("devices", **card.environment)
    used = [line for line in done.stdout.splitlines() if line.startswith(">")]
    assert [re.sub(r"> +\d+  | \(.*", "", line) for line in used] == ["Kitchen-Mic", "Kitchen"]
    report = run("doctor", "--quick", **card.environment).stdout
    assert "Speaker: Kitchen opens at 24 kHz." in report
    assert "Kitchen-Mic opens at 24 kHz" in report


@pytest.mark.sound
def test_a_missing_device_is_reported_once(run: Run, card: VirtualCard) -> None:
    card.route_as_desktop()
    card.unplug("mic", "spk_mon")
    done = run("doctor", "--quick", "--json", **card.environment)
    wrong = [f for f in json.loads(done.stdout)["findings"] if f["level"] == "problem"]
    assert [each["sentence"] for each in wrong] == ["There is a speaker, but no microphone."]
    listed = run("devices", **card.environment)
    assert listed.stdout.startswith("Microphones:\n      none\nSpeakers:\n")
    card.unplug()
    done = run("doctor", "--quick", "--json", **card.environment)
    wrong = [f for f in json.loads(done.stdout)["findings"] if f["level"] == "problem"]
    assert [each["sentence"] for each in wrong] == ["There is no microphone and no speaker."]
    assert wrong[0]["remedy"].startswith("Connect a device")
    listed = run("devices", **card.environment)
    assert listed.returncode == 6
    assert listed.stderr.startswith(
        "voicechat: There is no microphone and no speaker. Connect a device"
    )


@pytest.mark.sound
def test_stalled_devices_are_problems(run: Run, card: VirtualCard) -> None:
    card.suspend(True)
    levels = titles(run("doctor", "--quick", "--json", **card.environment).stdout)
    assert levels["Speaker"] == levels["Microphone"] == "problem"


def test_without_devices_the_exit_code_is_that_of_no_sound(
    run: Run, no_sound: dict[str, str]
) -> None:
    done = run("devices", **no_sound)
    assert (done.returncode, done.stdout) == (6, "")
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("voicechat: ")


@pytest.mark.sound
def test_a_frozen_sound_server_hangs_neither_command(run: Run, card: VirtualCard) -> None:
    card.freeze()
    began = time.monotonic()
    listed = run("devices", **card.environment)
    assert listed.returncode == 6
    assert "The sound server does not answer" in listed.stderr
    done = run("doctor", "--quick", "--json", **card.environment)
    assert done.returncode == 1
    found = [f for f in json.loads(done.stdout)["findings"] if f["title"] == "Sound server"]
    assert [each["level"] for each in found] == ["problem"], "it is not also reported as running"
    assert "restart" in found[0]["remedy"]
    assert time.monotonic() - began < 3 * 10


@pytest.mark.sound
def test_a_card_with_an_echo_has_no_problem(
    own_card: VirtualCard,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in [name for name in os.environ if name.startswith(("OPENAI_", "VOICECHAT_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(loader, "settings_path", lambda: tmp_path / "none.toml")
    # A machine that runs many tests is slower.
    monkeypatch.setattr(checkup, "SOUND_S", 20.0)
    with own_card.echo(60, -12):
        code = main(["doctor", "--json"])
    printed = capsys.readouterr()
    levels = titles(printed.out)
    assert (
        levels["Devices"] == levels["Speaker"] == levels["Loopback"] == levels["Microphone"] == "ok"
    )
    assert levels["Embedded voice"] in {"ok", "note"}
    assert (code, printed.err) == (0, "")


def test_without_sound_the_doctor_finds_a_problem(run: Run, no_sound: dict[str, str]) -> None:
    done = run("doctor", "--quick", **no_sound)
    assert (done.returncode, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("ok       Version: voicechat ")
    assert any(line.startswith("PROBLEM  ") for line in lines)
    assert re.fullmatch(r"\d problems? found\.", lines[-1])
    assert "Embedded voice" not in done.stdout
    assert "\x1b" not in done.stdout


def test_the_report_is_free_of_personal_names_and_keys(
    run: Run, no_sound: dict[str, str], tmp_path: Path
) -> None:
    done = run(
        *("doctor", "--quick", "--connect"),
        OPENAI_API_KEY=KEY,
        VOICECHAT_CHAT_KEY=KEY,
        OPENAI_BASE_URL="https://voice.secret-company.invalid/v1",
        VOICECHAT_CHAT_URL="http://127.0.0.1:9/v1",
        **no_sound,
    )
    assert done.returncode == 1
    assert "openai: Its address cannot be found. OPENAI_API_KEY is set." in done.stdout
    assert "Chat URL: Its address cannot be reached" in done.stdout
    assert "Data folder: ~/" in done.stdout
    for secret in (KEY, "secret-company", str(tmp_path)):
        assert secret not in done.stdout + done.stderr


def test_a_key_is_reported_as_set_or_not(run: Run, no_sound: dict[str, str]) -> None:
    done = run("doctor", "--quick", OPENAI_API_KEY=KEY, **no_sound)
    assert "OPENAI_API_KEY is set." in done.stdout
    unset = run("doctor", "--quick", VOICECHAT_MODEL="openai", **no_sound).stdout
    assert "OPENAI_API_KEY is not set." in unset
    other = run("doctor", "--quick", GOOGLE_API_KEY=KEY, **no_sound).stdout
    assert "GOOGLE_API_KEY is set." in other
    assert "GEMINI_API_KEY" not in other


def test_a_provider_that_is_not_in_use_is_not_reported(run: Run, no_sound: dict[str, str]) -> None:
    lines = run("doctor", "--quick", GOOGLE_API_KEY=KEY, **no_sound).stdout.splitlines()
    titles = {line[9:].partition(":")[0] for line in lines}
    assert "google" in titles
    assert titles.isdisjoint({"openai", "xai", "gateway", "azure"})


def test_a_server_of_the_user_may_need_no_key(run: Run, no_sound: dict[str, str]) -> None:
    variables = {
        "AZURE_OPENAI_ENDPOINT": "https://127.0.0.1:9",
        "OPENAI_BASE_URL": "http://127.0.0.1:9",
    }
    done = run("doctor", "--quick", VOICECHAT_MODEL="azure/voice", **variables, **no_sound)
    assert "PROBLEM  azure: Its address cannot be reached (Connection refused).\n" in done.stdout
    assert "note     openai: Its address cannot be reached (Connection refused).\n" in done.stdout
    assert "PROBLEM  Model: azure/voice needs a key." in done.stdout


def test_broken_settings_are_one_finding_among_others(
    run: Run, no_sound: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "home" / "CONFIG" / "voicechat"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text("voise = 'x'\n")
    done = run("doctor", "--quick", **no_sound)
    assert "PROBLEM  Settings: ~/CONFIG/voicechat/config.toml:1: voise" in done.stdout
    assert "Version:" in done.stdout


def test_settings_without_effect_are_noted(run: Run, no_sound: dict[str, str]) -> None:
    done = run("doctor", "--quick", VOICECHAT_MODLE="local", **no_sound)
    assert "note     Settings: VOICECHAT_MODLE is not a variable that voicechat" in done.stdout


async def test_connect_opens_a_session(run: Run, no_sound: dict[str, str]) -> None:
    from websockets.asyncio.server import serve

    calls: list[str] = []

    async def answer(connection) -> None:
        calls.append(connection.request.headers["Authorization"])
        await connection.wait_closed()

    async with serve(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        variables = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1"}
        await asyncio.to_thread(lambda: run("doctor", "--quick", **variables, **no_sound))
        assert calls == []
        done = await asyncio.to_thread(
            lambda: run("doctor", "--quick", "--connect", **variables, **no_sound)
        )
    assert calls == [f"Bearer {KEY}"]
    assert "ok       Session: openai/" in done.stdout
    assert KEY not in done.stdout + done.stderr


def test_names_of_people_are_removed_from_devices() -> None:
    anna = "Anna's AirPods"
    trial = LoopbackResult(anna, anna, ((f"The microphone {anna!r} is busy.", ""),))
    found = ProbeResult(
        devices=(Device(0, anna, "Core Audio", 1, 2, 48_000, True, True),), trial=trial
    )
    shown = without_owners(found, Redactor())
    assert "Anna" not in repr(shown)
    assert shown.devices[0].name == "Someone's AirPods"
    assert without_owners(replace(found, trial=None), Redactor()).trial is None
