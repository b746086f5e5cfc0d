"""Options of `voicechat serve`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from voicechat.errors import Secret
from voicechat.server.guarded_assistant import ReplyRule
from voicechat.server.worker_lanes import available_cores
from voicechat.system.ice_servers import IceServer

DEFAULT_MODEL = "voicechat-local"
"""The model name of the offline assistant."""


@dataclass(frozen=True, slots=True)
class RemoteEngine:
    """A speech recognizer or a voice on another server."""

    url: str
    """wyoming://host:port, or the root URL of an OpenAI-compatible API."""
    model: str | None = None
    language: str | None = None
    """Language of the speech, such as `en`; for a recognizer."""
    voice: str | None = None
    """For a voice."""
    key: Secret | None = None


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """All options of the server. Times are in seconds."""

    host: str = "127.0.0.1"
    port: int = 8750
    """0 selects a free port. Other realtime servers use 8000, 8080 and 8765 by default."""
    allow_remote: bool = False
    """Required to bind to an address other than loopback."""
    origins: frozenset[str] = frozenset()
    """Origins of the web pages that may connect, as `web_origin` returns them."""
    ice_servers: tuple[IceServer, ...] = ()
    """STUN and TURN servers for calls over WebRTC."""
    tls_cert: Path | None = None
    """PEM file with the certificate chain; None serves without TLS."""
    tls_key: Path | None = None
    """PEM file with the private key; None if the certificate's file holds it."""
    token: Secret | None = None
    """The access token for clients; None creates and prints a new one."""
    stt: RemoteEngine | None = None
    """The speech recognizer to prefer to the built-in one."""
    tts: RemoteEngine | None = None
    """The voice to prefer to the built-in one."""
    chat_url: str | None = None
    """Root URL of an OpenAI-compatible chat endpoint; None selects the offline assistant."""
    chat_model: str | None = None
    chat_key: Secret | None = None
    voice: str | None = None
    """Default voice of a session; None selects the default of the engine."""
    stt_model: Path | None = None
    """Folder of a Moonshine model; None selects the one in the package."""
    stt_tokens_per_second: float = 6.5
    """Most tokens that this model needs for a second of speech; more for some languages."""
    voices: Mapping[str, Path] = field(default_factory=dict)
    """Installed voices: name and model file. The first is the default."""
    vad_model: Path | None = None
    """File of Silero VAD, for platforms where its library has no wheel."""
    turn_end_model: Path | None = None
    """File of Smart Turn v3; used with a chat model."""
    warm_speech: bool = True
    """Load the speech engines at the start. False: at their first use."""
    forbidden_tools: frozenset[str] = frozenset()
    """Built-in tools with the permission `never`; the offline assistant refuses their skills."""
    guardrails: tuple[ReplyRule, ...] = ()
    """Words and patterns that replies must not have. None for the server of a conversation, which
    has its own guardrails."""
    user_notebook: bool = False
    """Keep lists, notes and facts in the user's notebook, not in memory for each session."""
    parent_watch: bool = False
    """Stop when stdin closes or the parent process ends."""
    max_connections: int = 32
    """Connections at a time; one more is refused with HTTP status 503."""
    session_seconds: float = 86_400.0
    """Maximum age of a session; it then ends with `session_expired`."""
    log_level: str = "warning"

    @property
    def lanes(self) -> int:
        """Utterances, and clauses of replies, that the built-in engines process at a time."""
        # The server of a conversation has one user, who needs the other cores for sound and screen.
        return 1 if self.parent_watch else available_cores()

    @property
    def model(self) -> str:
        """The model name that sessions show."""
        return (self.chat_model or "chat") if self.chat_url else DEFAULT_MODEL

    def with_environment(self, environ: Mapping[str, str]) -> ServeOptions:
        """Return the options with the environment applied.

        It sets the token, the chat key, the forbidden tools, the notebook, the parent watch and
        when speech is loaded.
        """
        from dataclasses import replace

        token = environ.get("VOICECHAT_SERVE_TOKEN")
        key = environ.get("VOICECHAT_CHAT_KEY")
        forbidden = environ.get("VOICECHAT_FORBIDDEN_TOOLS")
        has_parent = self.parent_watch or environ.get("VOICECHAT_PARENT_WATCH") == "1"
        return replace(
            self,
            token=self.token or (Secret(token) if token else None),
            chat_key=self.chat_key or (Secret(key) if key else None),
            forbidden_tools=(
                self.forbidden_tools if forbidden is None else frozenset(forbidden.split())
            ),
            user_notebook=self.user_notebook or environ.get("VOICECHAT_USER_NOTEBOOK") == "1",
            warm_speech=self.warm_speech and environ.get("VOICECHAT_WARM_SPEECH") != "0",
            parent_watch=has_parent,
            guardrails=() if has_parent else self.guardrails,
        )
