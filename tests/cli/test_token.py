"""`voicechat token` against a server that records requests."""

from __future__ import annotations

import json

from token_server import token_server

from voicechat.cli.app import main

KEY = "sk-planted-0123456789"


def test_the_command_prints_one_line_of_json(monkeypatch, tmp_path, capsys) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with token_server() as server:
        arguments = ["--model", "openai/m", "--seconds", "30", "--voice", "marin"]
        assert main(["token", *arguments, "--base-url", server.address]) == 0
        out, err = capsys.readouterr()
        assert json.loads(out)["token"] == "ek_1"
        assert (out.count("\n"), err) == (1, "")
        body = json.loads(server.received[2])
        assert body["expires_after"]["seconds"] == 30
        assert body["session"]["audio"] == {"output": {"voice": "marin"}}
        assert main(["token", *arguments[:2], "--seconds", "1", "--base-url", server.address]) == 2
        assert "planted" not in capsys.readouterr().err
