"""Opening a link: the browser gets none of the keys."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from voicechat.tui.link_opener import open_link


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="xdg-open is a part of Linux")
async def test_the_browser_gets_no_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opener, seen = tmp_path / "xdg-open", tmp_path / "seen"
    opener.write_text(f'#!/bin/sh\necho "$1" > {seen}\nenv >> {seen}\n', "utf-8")
    opener.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("DISPLAY", ":99")
    monkeypatch.setenv("OPENAI_API_KEY", "hush")
    monkeypatch.setenv("HTTPS_PROXY", "http://user:hush@proxy:80")
    monkeypatch.delenv("WSL_DISTRO_NAME", raising=False)
    assert await open_link("https://host/")
    text = seen.read_text("utf-8")
    assert text.startswith("https://host/\n")
    assert "HTTPS_PROXY=http://proxy:80\n" in text
    assert "hush" not in text
