#!/bin/sh
# Prepare this checkout: .setup.sh run | test
#
# Makes .venv with the package in it ("test": with the tools too) and, on Debian and Ubuntu,
# installs the system libraries when that needs no password. Fast when nothing changed.
set -eu
cd "$(dirname "$0")"
purpose=${1:-run}

say() { printf '%s\n' "$*" >&2; }

wanted="$(cat pyproject.toml requirements.lock | cksum) $PWD"
stamp=.venv/.ready-$purpose
if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && .venv/bin/python -c '' 2>/dev/null; then
    exit 0
fi

# ------------------------------------------------------------------ which Python
python=
for name in "${PYTHON:-python3}" python3.13 python3.12 python3.11 python3.14; do
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python=$name
        break
    fi
done
if [ -z "$python" ]; then
    say "Python 3.11 or newer is needed; none was found. To choose one, type: PYTHON=/path/to/python3 make $purpose"
    exit 1
fi

# ------------------------------------------------------------------ system packages
packages=
add() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed' || packages="$packages $1"; }

has_venv() { "$python" -c 'import ensurepip, venv' 2>/dev/null; }

install() {
    set -- apt-get install -y --no-install-recommends --no-remove $packages
    say "Installing$packages"
    export DEBIAN_FRONTEND=noninteractive
    if [ "$(id -u)" = 0 ]; then
        "$@" >/dev/null 2>&1 || { apt-get update -qq >/dev/null 2>&1 && "$@" >/dev/null; }
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        sudo -n "$@" >/dev/null 2>&1 || { sudo -n apt-get update -qq >/dev/null 2>&1 && sudo -n "$@" >/dev/null; }
    else
        return 1
    fi
}

if command -v apt-get >/dev/null; then
    has_venv || add "$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
    add libportaudio2
    add libasound2-plugins
    if [ "$purpose" = test ]; then
        # A desktop with PipeWire keeps it: --no-remove, and no second sound server is asked for.
        command -v pipewire >/dev/null || { add pulseaudio; add pulseaudio-utils; }
    fi
    if [ -n "$packages" ] && ! install; then
        say "Sound needs libraries that only an administrator can install. Type:"
        say "    sudo apt-get install -y --no-install-recommends$packages"
        say "Continuing without sound. You can type."
    fi
elif [ "$(uname)" = Linux ] && ! ldconfig -p 2>/dev/null | grep -q libportaudio; then
    say "Sound needs PortAudio and ALSA's PulseAudio plug-in from your distribution, for example"
    say "    sudo dnf install portaudio alsa-plugins-pulseaudio"
    say "Continuing without sound. You can type."
fi

# A Secret Service for the tests brings GTK, so only CI installs it, while pip works.
secret_service=
if [ "$purpose" = test ] && [ -n "${CI:-}" ] && command -v apt-get >/dev/null; then
    packages=
    add dbus
    add gnome-keyring
    if [ -n "$packages" ]; then
        { install || say "No Secret Service can be installed. Its test is skipped."; } &
        secret_service=$!
    fi
fi

# ------------------------------------------------------------------ the virtual environment
if ! [ -x .venv/bin/python ] || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    if ! has_venv; then
        say "This Python cannot make virtual environments until python3-venv is installed."
        exit 1
    fi
    say "Preparing .venv (once, a minute or two)"
    "$python" -m venv --clear .venv
fi
pip="env PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore .venv/bin/python -m pip --quiet"
# requirements.lock decides the version and the hash of everything that is installed, the build tools
# too. Dependency groups need pip 25.1.
$pip install --upgrade 'pip>=25.1'
locked="$pip install --constraint requirements.lock"
$locked --group build

# Write what the package needs to .venv/needed.txt, except packages that begin with an argument.
# An editable package has no hash, so it is installed after what it needs.
write_needed() {
    .venv/bin/python - "$@" >.venv/needed.txt <<'END'
import sys
import tomllib

project = tomllib.load(open("pyproject.toml", "rb"))["project"]
extras = project["optional-dependencies"]
for line in project["dependencies"] + extras["mcp"] + extras["socks"] + extras["keyring"] + extras["setup-endpoint"]:
    if not any(map(line.startswith, sys.argv[1:])):
        print(line)
END
}

write_needed
if [ "$purpose" = test ]; then
    $locked --requirement .venv/needed.txt --group dev
    if command -v npm >/dev/null; then
        # The reference servers of MCP and the library of OpenAI; without them tests are skipped.
        npm install --silent --no-audit --no-fund --ignore-scripts --fetch-retries 1 --prefix .venv/mcp-servers \
            @modelcontextprotocol/server-everything@2026.8.31 \
            @modelcontextprotocol/server-filesystem@2026.8.31 openai@6.49.0 >/dev/null 2>&1 ||
            say "The packages of node cannot be installed. Their tests are skipped."
    fi
elif ! $locked --no-compile --requirement .venv/needed.txt; then
    # Speech needs wheels for glibc 2.34 or newer, macOS 15 on Arm, or 64-bit Windows.
    say "Speech recognition or the voice cannot be installed on this system. You can type."
    write_needed onnxruntime hibari-tts moonshine-voice
    $locked --no-compile --requirement .venv/needed.txt
fi
$pip install --no-build-isolation --no-deps --editable .
# Compile the modules that a start loads: all of them take 66 MB.
env -u PYTHONDONTWRITEBYTECODE ORT_DISABLE_TELEMETRY=1 .venv/bin/python -c '
from contextlib import suppress
from importlib import import_module
for name in (
    "voicechat.cli.talk", "voicechat.tui.app", "voicechat.session.client", "voicechat.audio.process",
    "voicechat.tools.mcp.mcp_servers", "voicechat.server.app", "voicechat.server.engine_worker_main",
    "voicechat.server.assistant.offline_assistant", "voicechat.server.stt.moonshine_recognizer",
    "voicechat.server.tts.hibari_synthesizer", "onnxruntime", "hibari.g2p", "hibari.dsp", "pint",
):
    with suppress(ImportError, OSError):
        import_module(name)
' >/dev/null 2>&1 || true
# Only the model files of this package are used: its libraries are 63 MB that are never loaded.
for library in .venv/lib/python*/site-packages/moonshine_voice/libmoonshine.* .venv/lib/python*/site-packages/moonshine_voice.libs; do
    rm -rf "$library"
done
[ -z "$secret_service" ] || wait "$secret_service" || true
printf '%s\n' "$wanted" >"$stamp"
