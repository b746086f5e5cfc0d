"""What the settings tell the gateway about a request: tags, the user, keys of one's own.

Source: `@ai-sdk/gateway`, `gateway-provider-options.ts`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from voicechat.errors import Secret


def provider_options(
    options: Mapping[str, object], of_model: Mapping[str, object] = MappingProxyType({})
) -> dict[str, object]:
    """Return the field of a request with these options; empty without any.

    of_model: options that the gateway passes on, by the provider that they are for. Call it where
    the request is built: it reveals the keys of `byok`.
    """
    found = {**of_model, **({"gateway": _revealed(options)} if options else {})}
    return {"providerOptions": found} if found else {}


def _revealed(value: object) -> object:
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, Mapping):
        return {name: _revealed(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_revealed(inner) for inner in value]
    return value
