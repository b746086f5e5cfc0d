"""What `voicechat serve` can be told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from voicechat.errors import Secret

DEFAULT_MODEL = "voicechat-local"
"""The model name of the built-in mind."""


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """Everything that decides how the embedded voice runs. Times in seconds."""

    host: str = "127.0.0.1"
    port: int = 8765
    """0 picks a free port."""
    allow_remote: bool = False
    """Needed to bind to anything but the loopback interface."""
    token: Secret | None = None
    """What clients must show; None makes a fresh one, which is printed."""
    chat_url: str | None = None
    """Root of an OpenAI-compatible chat endpoint; None uses the built-in mind."""
    chat_model: str | None = None
    chat_key: Secret | None = None
    voice: str | None = None
    """Default voice of a session; None is the engine's own."""
    parent_watch: bool = False
    """End when stdin ends or the parent dies."""
    max_connections: int = 8
    session_seconds: float = 86_400.0
    """A session older than this is ended with `session_expired`."""
    log_level: str = "warning"

    @property
    def model(self) -> str:
        """The model name that sessions show."""
        return (self.chat_model or "chat") if self.chat_url else DEFAULT_MODEL

    def with_environment(self, environ: Mapping[str, str]) -> ServeOptions:
        """The same options with what only the environment may carry: token, key, parent watch."""
        from dataclasses import replace

        token = environ.get("VOICECHAT_SERVE_TOKEN")
        key = environ.get("VOICECHAT_CHAT_KEY")
        return replace(
            self,
            token=self.token or (Secret(token) if token else None),
            chat_key=self.chat_key or (Secret(key) if key else None),
            parent_watch=self.parent_watch or environ.get("VOICECHAT_PARENT_WATCH") == "1",
        )
