"""The chosen model: its capabilities, its settings and the codec of each connection.

For the embedded model this includes its server, which starts when a connection needs it and stops
when another model is chosen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from voicechat.config.setting_place import similar
from voicechat.core.settings import SessionSettings, ToolSpec
from voicechat.core.text import clean, one_of
from voicechat.errors import KeyMissing, ServerError, UsageError, VoicechatError
from voicechat.providers.call_request import UsesIceServers
from voicechat.providers.codec import unsupported
from voicechat.providers.provider import WEBRTC
from voicechat.session.requested_settings import session_settings
from voicechat.session.token_auth import TokenAuth
from voicechat.system.ice_servers import ice_servers
from voicechat.system.optional_parts import require_webrtc

if TYPE_CHECKING:
    from voicechat.config.options import Options
    from voicechat.providers.catalog import ModelChoice
    from voicechat.providers.codec import Codec
    from voicechat.providers.speech_service import SpeechService
    from voicechat.session.local_server import LocalServer
    from voicechat.session.served_voices import ServedVoices


CUSTOM_VOICE = "voice_"
"""Prefix of the names of custom voices."""

UNNAMED = "default"
"""Name of the model of a server that lists none."""


def _ignore(_: str) -> None:
    """Drop the sentence."""


class ChosenModel:
    """The chosen model. Raises `UsageError` or `KeyMissing` if the options name none.

    `tools` returns the offered tools, `progress` receives the start-up progress of the embedded
    server, `warn` receives a sentence about a missing tool or an engine that failed.
    """

    choice: ModelChoice

    def __init__(
        self,
        options: Options,
        tools: Callable[[], tuple[ToolSpec, ...]],
        progress: Callable[[str], None],
        warn: Callable[[str], None] = _ignore,
    ) -> None:
        self.options = options
        self._tools = tools
        self._progress = progress
        self._warn = warn
        self._server: LocalServer | None = None
        self._local_codec: Callable[[], Codec] | None = None
        """Makes codecs for the embedded server; None unless it runs."""
        self._previous: tuple[ModelChoice, Options] | None = None
        self._listed: dict[str, ServedVoices] = {}
        """Voices that providers have listed, by the name of the provider."""
        self._select(self._resolved(options.model or "", same=True))
        self.connected_name = self.name
        """PROVIDER/MODEL of the newest connection, whose usage is counted."""
        self.blocked_by: VoicechatError | None = None
        """The failure of the WebSocket that WebRTC replaced."""
        self._unknown_voice = self._drop_unknown_voice()
        self._set_ice_servers(self._reader)  # reports a wrong value before a connection needs it
        self._token_auth: TokenAuth | None = None
        if TokenAuth.is_enabled(options):
            self._token_auth = TokenAuth(options, self.name, warn)

    @property
    def name(self) -> str:
        """PROVIDER/MODEL."""
        return self.choice.name

    @property
    def settings(self) -> SessionSettings:
        """Settings to request, according to the options."""
        return session_settings(self.options, self.capabilities, self._tools())

    @property
    def settings_without_tools(self) -> SessionSettings:
        """The same without tools, whose permissions take a while to look up."""
        return session_settings(self.options, self.capabilities, ())

    @property
    def unsupported_settings(self) -> list[str]:
        """A sentence for each requested setting that this model does not support."""
        voice = [self._unknown_voice] if self._unknown_voice else []
        return [*voice, *unsupported(self._reader, self.settings)]

    def _drop_unknown_voice(self) -> str:
        """Replace a voice that the provider does not have by the default; return a warning.

        Raises `UsageError` if a flag names the voice.
        """
        name, voices = self.options.voice, self.voices
        if name is None or self.may_have_voice(name) or self._has_other_server():
            return ""
        where = self.options.origin("voice")
        hint = similar(name, voices) or f"Choose {one_of(voices)}."
        sentence = f"{where}: {self.name} has no voice {clean(name)[:40]!r}."
        if where.startswith("--"):
            raise UsageError(sentence, hint)
        self.options = replace(self.options, voice=None)
        return f"{sentence} The default voice speaks. {hint}"

    @property
    def voices(self) -> tuple[str, ...]:
        """Known voices of this model; empty if none are known."""
        listed = self._listed.get(self.choice.provider)
        return listed.names if listed is not None and listed.names else self.choice.voices

    def may_have_voice(self, name: str) -> bool:
        """Return False if the provider is known not to have this voice."""
        voices = self.voices
        if not voices or name in voices or name.startswith(CUSTOM_VOICE):
            return True
        listed = self._listed.get(self.choice.provider)
        is_complete = not self._voice_lists if listed is None else listed.complete
        return not is_complete

    @property
    def samples(self) -> SpeechService | None:
        """The text to speech that speaks samples of the voices; None if there is none."""
        from voicechat.providers.catalog import provider_named

        provider = provider_named(self.choice.provider)
        may_ask = provider is not None and not TokenAuth.is_enabled(self.options)
        return provider.samples if provider is not None and may_ask else None

    @property
    def _voice_lists(self) -> tuple[str, ...]:
        from voicechat.providers.catalog import provider_named

        provider = provider_named(self.choice.provider)
        return provider.voice_lists if provider is not None else ()

    @property
    def lists_voices(self) -> bool:
        """True if the provider itself has lists of its voices that were not requested yet."""
        return self._may_list_voices and not self._has_other_server()

    @property
    def _may_list_voices(self) -> bool:
        is_listed = self.choice.provider in self._listed
        return bool(self._voice_lists) and not is_listed and not TokenAuth.is_enabled(self.options)

    async def list_voices(self) -> None:
        """Ask the provider for its voices. Without an answer, it checks a voice itself."""
        if not self._may_list_voices:
            return
        from voicechat.session.served_voices import served_voices

        choice = self.choice
        listed = await served_voices(choice.codec().endpoint(), self._voice_lists)
        self._listed[choice.provider] = listed

    def _has_other_server(self) -> bool:
        """True if an address names another server, which may have other voices."""
        from voicechat.providers.catalog import provider_named

        provider = provider_named(self.choice.provider)
        variable = provider.url_variable if provider is not None else None
        return self.options.base_url is not None or variable in self.options.variables

    def _resolved(self, name: str, *, same: bool) -> ModelChoice:
        from voicechat.providers import catalog

        # The user's address belongs to the provider it was given for.
        options = self.options
        base_url = options.base_url if same else None
        if name:
            catalog.check_talks(name, base_url=base_url, environ=options.environ)
        if not same:
            try:
                return catalog.resolve(
                    name,
                    environ=options.environ,
                    call=options.call,
                    transport=self._like(name),
                )
            except KeyMissing as error:
                raise self._locked(name) or error from None
        return catalog.resolve(
            name,
            base_url=options.base_url,
            environ=options.environ,
            wire=options.wire,
            short_lived=TokenAuth.is_enabled(options),
            call=options.call,
            transport=options.transport,
        )

    def _like(self, name: str) -> str:
        """Return the transport of the options if this model has it, else its usual one."""
        from voicechat.providers.catalog import provider_named

        provider = provider_named(name.partition("/")[0])
        wanted = self.options.transport
        usual = provider.transports if provider is not None else (wanted,)
        return wanted if wanted in usual else usual[0]

    def _locked(self, name: str) -> KeyMissing | None:
        """Return the error for a key in the keyring, which is read at the start only."""
        from voicechat.providers.catalog import provider_named

        provider = provider_named(name.partition("/")[0])
        if provider is None or not {*provider.key_variables} & {*self.options.keyring_keys}:
            return None
        return KeyMissing(
            f"The key of {provider.name} is in the keyring, which was not read.",
            f"Start voicechat again with --model {provider.name}.",
        )

    def _select(self, choice: ModelChoice) -> None:
        from voicechat.providers import catalog

        self.choice = choice
        make_reader = choice.codec
        if choice.needs_local_server:
            make_reader = partial(catalog.codec_of, choice.name, environ={})
        self._reader = make_reader()
        self.capabilities = self._reader.capabilities
        """Capabilities of the model."""

    async def find(self) -> None:
        """Ask the server for its voices, and for its model if the user named none.

        The embedded voice looks for a chat server on this machine instead. Raises `UsageError` if
        the server has several models, or not the voice.
        """
        if self.options.voice is not None and self.options.voice not in self.voices:
            await self.list_voices()
            self._unknown_voice = self._drop_unknown_voice()
        if self.choice.needs_local_server:
            await self._find_chat()
        if not self.choice.asks_server:
            return
        from voicechat.session.served_models import served_model

        provider, _, default = self.choice.name.partition("/")
        target = self.choice.codec().endpoint()
        host = clean(urlsplit(target.url).hostname or "")
        name = await served_model(target, default)
        choice = self.choice if name is None else self._resolved(f"{provider}/{name}", same=True)
        shown = f"{provider}/{name or UNNAMED}"
        why = f"Using {shown} because it is the model of {host}; --model names another one."
        self._select(replace(choice, name=shown, why=why))

    async def _find_chat(self) -> None:
        """Let a chat server of this machine answer, if the user named neither it nor a model."""
        options = self.options
        if options.model or options.chat_url or not options.local_chat:
            return
        from voicechat.session.server_discovery import find_servers

        found = next((each for each in await find_servers() if each.models), None)
        if found is None:
            return
        # A key that belongs to another server must not reach this one.
        keys = {name: key for name, key in options.keys.items() if name != "VOICECHAT_CHAT_KEY"}
        name = found.models[0]
        self.options = replace(options, chat_url=found.url, chat_model=name, keys=keys)
        why = (
            f"Using the embedded voice with {name} of {found.name} at {found.place}."
            " --no-local-chat answers without it."
        )
        self.choice = replace(self.choice, why=why)

    # ----------------------------------------------------------------- another model

    def change(self, name: str) -> None:
        """Choose another model. Raises `UsageError` and `KeyMissing`; then nothing changes."""
        choice = self._resolved(name, same=False)
        same = choice.provider == self.choice.provider
        if same:
            choice = self._resolved(name, same=True)
        before = (self.choice, self.options)
        if not same and self.options.voice not in choice.voices:
            self.options = replace(self.options, voice=None)
        self._previous = self._previous or before
        self.blocked_by = None
        self._select(choice)

    def use_webrtc(self, failure: VoicechatError) -> bool:
        """Reach the model over WebRTC because no WebSocket gets through; False if it cannot be."""
        options = self.options
        is_chosen = "transport" in options.origins or options.transport == WEBRTC
        if is_chosen or options.call or not getattr(failure, "is_blocked", False):
            return False
        try:
            require_webrtc()
            self.options = replace(options, transport=WEBRTC)
            self._select(self._resolved(self.name, same=True))
        except VoicechatError:
            self.options = options
            return False
        self.blocked_by = failure
        return True

    def confirm(self, codec: Codec | None) -> None:
        """Confirm that the model works; the previous one can no longer be restored.

        The codec knows the capabilities of the server by now.
        """
        self._previous = None
        if codec is not None:
            self.capabilities = codec.capabilities

    def restore_previous(self) -> bool:
        """Restore the previous model; return False if there is none."""
        if self._previous is None:
            return False
        (choice, self.options), self._previous = self._previous, None
        self._select(choice)
        return True

    # ----------------------------------------------------------------- connections

    async def codec(self) -> Codec:
        """Return the codec of the next connection; start the embedded server if it does not run.

        Raises `ServerError` if the server cannot start.
        """
        codec = await self._current_codec()
        if self._token_auth is not None and self._token_auth.provider == self.choice.provider:
            await self._token_auth.authorize(codec, self.settings)
        self._set_ice_servers(codec)
        return codec

    def _set_ice_servers(self, codec: Codec) -> None:
        """Let the codec use the servers of the options. Raises `UsageError` for a wrong one."""
        if isinstance(codec, UsesIceServers):
            options = self.options
            codec.ice_servers = ice_servers(options.ice_servers or "", options.turn_password)

    async def _current_codec(self) -> Codec:
        """Return a codec of the chosen model once everything it needs is ready."""
        while True:
            choice = self.choice
            try:
                if choice.needs_local_server:
                    await self._start_server()
                else:
                    await self.stop()
            except ServerError:
                if choice is self.choice:
                    raise
            # Another model may be chosen during the await.
            if choice is self.choice:
                self.connected_name = choice.name
                return choice.codec() if self._local_codec is None else self._local_codec()

    async def _start_server(self) -> None:
        """Start the embedded server unless it runs."""
        from voicechat.providers import catalog
        from voicechat.session.local_server import LocalServer

        if self._server is not None and self._server.running:
            return
        await self.stop()
        self._server = LocalServer(self.options, self._progress, on_warning=self._warn)
        url, token = await self._server.start()
        self._local_codec = partial(catalog.local_codec, url, token)

    async def stop(self) -> None:
        """Stop the embedded server, if it runs."""
        server, self._server = self._server, None
        self._local_codec = None
        if server is not None:
            await server.stop()
