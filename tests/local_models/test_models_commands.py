"""`voicechat models list|pull|remove|use` against a server of the test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading

import pytest
from small_catalog import ENCODER, VOICE

from voicechat.cli.app import main
from voicechat.local_models.installed_model import chosen_model
from voicechat.local_models.model_store import ModelStore

pytestmark = pytest.mark.usefixtures("catalog")

RUN = """
import sys
from pathlib import Path
from voicechat.local_models import model_catalog
model_catalog.CATALOG = Path(sys.argv.pop(1))
from voicechat.cli.app import main
sys.exit(main())
"""


@pytest.fixture
def run(capsys):
    """Run the command; returns its exit code, standard output and standard error."""

    def voicechat(*arguments: str) -> tuple[int, str, str]:
        code = main(["models", *arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        assert "\x1b" not in out + err
        return code, out, err

    return voicechat


def process(catalog, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", RUN, str(catalog), "models", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def state(run, model_id: str) -> tuple[str, bool]:
    (row,) = [row for row in json.loads(run("list", "--json")[1]) if row["id"] == model_id]
    return row["state"], row["used"]


def test_a_model_is_pulled_used_and_removed(run, server) -> None:
    assert state(run, "voice") == ("not downloaded", False)
    code, out, err = run("pull", "voice", "tiny")
    assert (code, out) == (0, "")
    folder = ModelStore().folder
    assert [line for line in err.splitlines() if " MB of " not in line] == [
        "voicechat: Downloading voice: 0.1 MB, license: MIT.",
        f"voicechat: Downloaded voice to {folder / 'voice'}",
        "voicechat: To use it, type: voicechat models use voice",
        "voicechat: Downloading tiny: 0.3 MB, license: MIT.",
        f"voicechat: Downloaded tiny to {folder / 'tiny'}",
        "voicechat: To use it, type: voicechat models use tiny",
    ]
    assert state(run, "voice") == ("downloaded", False)
    assert "voice is already here, in " in run("pull", "voice")[2]
    code, out, err = run("use", "voice", "tiny")
    assert (code, out) == (0, "")
    assert "The embedded voice uses voice from the next start on." in err
    assert state(run, "voice") == state(run, "tiny") == ("downloaded", True)
    assert run("use", "built-in")[0] == 0
    assert state(run, "voice") == ("downloaded", False)
    run("use", "voice")
    code, out, err = run("remove", "voice")
    assert (code, out, err) == (0, "", "voicechat: Removed voice; 0.1 MB are free again.\n")
    assert state(run, "voice") == ("not downloaded", False)
    said: list[str] = []
    assert chosen_model("tts", said.append) is None
    assert said == []


def test_the_list_fits_in_80_columns(run, monkeypatch) -> None:
    run("pull", "voice")
    text = run("list")[1]
    assert "Speech recognition:\n    tiny   en  0.3 MB    MIT\n" in text
    assert "Voices:\n    voice  en  0.1 MB  downloaded  MIT\n" in text
    monkeypatch.undo()
    assert all(len(line) <= 80 for line in run("list")[1].splitlines())


def test_a_built_in_model_is_not_removed(run, monkeypatch) -> None:
    monkeypatch.undo()
    code, out, err = run("remove", "hibari-heart")
    assert (code, out) == (2, "")
    assert "hibari-heart is built in and cannot be removed. To choose another model" in err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["pull", "voise"], 2, "There is no local model 'voise'. Did you mean voice?"),
        (["pull", "voice", "\x1b[2J"], 2, "There is no local model '\\x1b[2J'."),
        (["pull"], 2, "See voicechat models pull --help."),
        (["use", "tiny"], 2, "tiny is not downloaded. Type: voicechat models pull tiny"),
        (["remove", "tiny"], 2, "tiny is not downloaded. To list the models, type: voicechat"),
        (["remove", "built-in"], 2, "There is no local model 'built-in'."),
        (["--json", "list"], 2, "Options of 'list' must follow its name."),
        (["dance"], 2, "No such command 'dance'."),
        (["pull", "tiny", "--mirror", "here"], 2, "--mirror must be an address like https://"),
        (["pull", "tiny", "--mirror", "http://u:p@h"], 2, "--mirror must not hold a key or a"),
    ],
    ids=str,
)
def test_a_wrong_word_gives_one_sentence(run, server, arguments, code, message) -> None:
    found, out, err = run(*arguments)
    assert (found, out) == (code, "")
    assert message in err
    assert err.count("\n") == 1
    assert server.requests == []


def test_a_failed_download_gives_one_sentence(run, server) -> None:
    server.files["/v.onnx"] = VOICE[::-1]
    code, out, err = run("pull", "voice")
    assert (code, out) == (4, "")
    assert err.splitlines()[-1] == (
        "voicechat: The v.onnx that 127.0.0.1 sent is not the one of the catalog:"
        " its SHA-256 differs. Nothing was installed. Try again later, or use --mirror URL."
    )


@pytest.mark.parametrize("place", ["flag", "variable", "file"])
def test_a_mirror_from_a_flag_a_variable_or_the_settings(
    run, server, monkeypatch, tmp_path, place
) -> None:
    server.files = {"/mirror/voice/v.onnx": VOICE}
    mirror = f"{server.url}/mirror"
    flags = ["--mirror", mirror] if place == "flag" else []
    if place == "variable":
        monkeypatch.setenv("VOICECHAT_MODEL_MIRROR", mirror)
    if place == "file":
        from voicechat.config.loader import settings_path

        settings_path().parent.mkdir(parents=True)
        settings_path().write_text(f'model_mirror = "{mirror}"\n', encoding="utf-8")
    assert run("pull", "voice", *flags)[0] == 0
    assert server.requests == [("/mirror/voice/v.onnx", "")]


def test_nothing_is_downloaded_unasked(run, server) -> None:
    for arguments in (["list"], ["list", "--json"], ["use", "tiny"], ["remove", "tiny"], []):
        run(*arguments)
    assert server.requests == []


def test_a_killed_pull_is_continued(catalog, server) -> None:
    server.hold = threading.Event()
    killed = process(catalog, "pull", "tiny")
    assert killed.stderr is not None
    lines = iter(killed.stderr.readline, "")
    assert any(line == "voicechat: 0.1 MB of 0.3 MB\n" for line in lines)
    killed.kill()
    killed.communicate()
    server.hold.set()
    server.requests.clear()
    server.hold = None
    resumed = process(catalog, "pull", "tiny")
    assert resumed.communicate(timeout=50)[0] == ""
    assert resumed.returncode == 0
    path, wanted = server.requests[0]
    assert path == "/tiny/encoder.ort"
    assert 0 < int(wanted.removeprefix("bytes=").removesuffix("-")) <= len(ENCODER) // 2
    assert (ModelStore().folder / "tiny" / "encoder.ort").read_bytes() == ENCODER


def test_two_programs_pull_at_once(catalog, server) -> None:
    server.hold = threading.Event()
    first = process(catalog, "pull", "tiny")
    assert first.stderr is not None
    lines = iter(first.stderr.readline, "")
    assert any(line == "voicechat: 0.1 MB of 0.3 MB\n" for line in lines)
    second = process(catalog, "pull", "tiny")
    _, err = second.communicate(timeout=50)
    assert second.returncode == 2
    assert err.splitlines()[-1] == (
        "voicechat: Another voicechat is downloading or removing tiny. Try again later."
    )
    server.hold.set()
    assert first.communicate(timeout=50)[0] == ""
    assert first.returncode == 0
    assert (ModelStore().folder / "tiny" / "encoder.ort").read_bytes() == ENCODER


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_terminal_shows_a_bar_and_control_c_keeps_the_partial_file(catalog, server) -> None:
    import pexpect

    server.hold = threading.Event()
    words = ["-c", RUN, str(catalog), "models", "pull", "tiny"]
    child = pexpect.spawn(
        sys.executable, words, dimensions=(24, 80), encoding="utf-8", timeout=50,
        env={**os.environ, "TERM": "xterm-256color"},
    )  # fmt: skip
    child.expect("━")
    child.expect("150.0/300.0 kB")
    child.sendintr()
    child.expect("voicechat: Stopped. The same command continues the download.")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 130
    server.hold.set()
    server.hold = None
    server.requests.clear()
    resumed = process(catalog, "pull", "tiny")
    assert resumed.communicate(timeout=50)[0] == ""
    assert server.requests[0][1].startswith("bytes=1")
