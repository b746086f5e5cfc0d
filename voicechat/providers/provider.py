"""The catalog entry of a provider, and the request for its codecs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from voicechat.core.price import Price
from voicechat.core.settings import Purpose
from voicechat.errors import Secret
from voicechat.providers.codec import Codec
from voicechat.providers.rest import TokenEndpoint
from voicechat.providers.speech_service import SpeechService
from voicechat.providers.transcription_service import TranscriptionService


@dataclass(frozen=True, slots=True)
class ConnectionRequest:
    """Everything a provider makes a codec from."""

    model: str
    """Without the provider's name."""
    base_url: str | None = None
    """Root of the provider's API; None for its public address."""
    key: Secret | None = None
    key_variable: str | None = None
    """The environment variable that holds the key."""
    dialect: str | None = None
    """One of `catalog.DIALECTS`; None to infer it from the address."""
    purpose: Purpose = "conversation"
    environ: Mapping[str, str | Secret] = field(default_factory=dict, repr=False, hash=False)


@dataclass(frozen=True, slots=True)
class ModelLimits:
    """Limits of a model, in tokens."""

    context_tokens: int
    """Largest conversation that the model can take into account."""
    output_tokens: int
    """Longest response."""


@dataclass(frozen=True, slots=True)
class Provider:
    """One entry of the catalog. Its module is the only one that names the provider."""

    name: str
    default_model: str = ""
    """Empty if only the user knows it, like the name of a deployment."""
    models: tuple[str, ...] = ()
    """Models to list. A remote provider accepts any other name, too."""
    voices: tuple[str, ...] = ()
    samples: SpeechService | None = field(default=None, repr=False)
    """The text to speech that knows the voices of conversations; None if none does."""
    speech: SpeechService | None = field(default=None, repr=False)
    """Its text to speech; None if it has none, or is the embedded server."""
    voice_lists: tuple[str, ...] = ()
    """Paths of the lists of all voices below the root of its API; empty if it has no lists."""
    model_voices: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    """Voices of the models that have others than `voices`."""
    translation_models: tuple[str, ...] = ()
    """Models that only translate speech, the default first."""
    transcription_models: tuple[str, ...] = ()
    """Models that only transcribe, the default first; a session names one of them."""
    limits: Mapping[str, ModelLimits] = field(default_factory=dict, hash=False)
    """Limits by model; a model that is missing here has unknown ones."""
    prices: Mapping[str, Price] = field(default_factory=dict, hash=False)
    """List prices by model; a model that is missing here has no known price."""
    key_variables: tuple[str, ...] = ()
    """Environment variables that may hold the key; the first one that is set is used."""
    requires_key: bool = False
    """True if a key is needed even at a base URL of the user's own."""
    url: str | None = None
    """Public address of the realtime API; None if the user has to give one."""
    url_variable: str | None = None
    """Environment variable with the address of its API; ends in _BASE_URL or _ENDPOINT."""
    example_url: str | None = None
    """An address for reading and writing frames without dialing, where `url` is None."""
    connect: Callable[[ConnectionRequest], Callable[[], Codec]] | None = field(
        default=None, repr=False
    )
    """Returns the factory of its codecs; None for the embedded server, which has no address yet."""
    tokens: TokenEndpoint | None = field(default=None, repr=False)
    """Its endpoint for short-lived tokens; None if it has none."""
    transcription: TranscriptionService | None = field(default=None, repr=False)
    """Its transcription of recordings; None if it has none, or is the embedded server."""
    order: int = 100
    """Position in lists. With no model named, the first provider with a key is used."""
    is_compatible: bool = False
    """Other servers imitate its wire: a base URL without a model means this provider."""

    @property
    def key_variable(self) -> str | None:
        """The preferred variable for the key; None if the provider needs none."""
        return self.key_variables[0] if self.key_variables else None

    @property
    def is_embedded(self) -> bool:
        """True for the server that voicechat starts itself."""
        return self.connect is None
