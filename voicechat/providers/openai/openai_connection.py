"""The codec of each of OpenAI's APIs, by model, dialect and transport."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from urllib.parse import urlsplit

from voicechat.config.joined_call import JoinedCall
from voicechat.errors import UsageError
from voicechat.providers.base_url import realtime_url
from voicechat.providers.codec import Codec
from voicechat.providers.openai.call_sideband import CallSideband
from voicechat.providers.openai.live_codec import LiveCodec
from voicechat.providers.openai.live_session import live_url
from voicechat.providers.openai.live_sideband import LiveSideband
from voicechat.providers.openai.openai_beta import BETA, VOICE_LIVE
from voicechat.providers.openai.openai_codec import GENERAL, Dialect, OpenAICodec
from voicechat.providers.openai.openai_compatible import ANY_SERVER
from voicechat.providers.openai.openai_models import is_live, is_translator
from voicechat.providers.openai.openai_provider import PROVIDER, URL
from voicechat.providers.openai.translation_codec import TranslationCodec, translation_url
from voicechat.providers.provider import WEBRTC, ConnectionRequest
from voicechat.system.optional_parts import require_webrtc

_DIALECTS = {"ga": GENERAL, "beta": BETA, "voice-live": VOICE_LIVE}
"""The dialects that the user may name."""


def connect(request: ConnectionRequest) -> Callable[[], Codec]:
    """Return the factory of the codecs of a session, a call or a translation.

    Raises `UsageError` for what OpenAI does not offer.
    """
    root = request.base_url or URL
    if request.call is not None:
        return _join(root, request, request.call)
    if request.transport == WEBRTC:
        return _call(request, root)
    if request.dialect == "live" or (request.dialect is None and is_live(request.model)):
        return partial(LiveCodec, live_url(root), request.model, request.key)
    if is_translator(request.model):
        return partial(TranslationCodec, translation_url(root, request.model), request.key)
    url = realtime_url(root, request.model, request.purpose)
    return partial(OpenAICodec, url, request.key, _dialect(url, request.dialect))


def _dialect(url: str, name: str | None) -> Dialect:
    inferred = GENERAL if urlsplit(url).hostname == urlsplit(URL).hostname else ANY_SERVER
    dialect = _DIALECTS.get(name or "", inferred)
    return replace(dialect, name=PROVIDER.name, key_variable=PROVIDER.key_variable or "")


def _join(root: str, request: ConnectionRequest, call: JoinedCall) -> Callable[[], Codec]:
    """Return the factory of the control sockets of a call."""
    if call.is_live:
        return partial(LiveSideband, live_url(root), request.model, call, request.key)
    url = realtime_url(root, request.model)
    dialect = _dialect(url, request.dialect)
    return partial(CallSideband, url, request.model, call, request.key, dialect)


def _call(request: ConnectionRequest, root: str) -> Callable[[], Codec]:
    from voicechat.providers.openai.call_codec import CallCodec
    from voicechat.providers.openai.live_call import LiveCallCodec

    if request.dialect == "live" or (request.dialect is None and is_live(request.model)):
        require_webrtc()
        return partial(LiveCallCodec, live_url(root), request.model, request.key)
    if request.dialect not in {None, "ga"} or is_translator(request.model):
        raise UsageError(
            f"{request.model} is not reached over WebRTC with this API.", "Remove --transport."
        )
    require_webrtc()
    url = realtime_url(root, request.model)
    is_own = urlsplit(url).hostname != urlsplit(URL).hostname
    dialect = ANY_SERVER if is_own and request.dialect is None else GENERAL
    named = replace(dialect, name=PROVIDER.name, key_variable=PROVIDER.key_variable or "")
    return partial(CallCodec, url, request.model, request.key, named)
