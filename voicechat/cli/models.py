"""What `voicechat models` tells: providers, their models and voices, and whether a key is set."""

from __future__ import annotations

import json
from collections.abc import Iterator

from voicechat.config.options import Options
from voicechat.providers.catalog import PROVIDERS, Provider
from voicechat.providers.prices import price_of


def models(options: Options) -> list[dict[str, object]]:
    """Every provider, as plain JSON. Keys are told by the name of their variable, never shown."""
    return [_provider(provider, options) for provider in PROVIDERS.values()]


def _provider(provider: Provider, options: Options) -> dict[str, object]:
    keys = {variable: variable in options.keys for variable in provider.key_variables}
    address = provider.url_variable
    return {
        "provider": provider.name,
        "usual": f"{provider.name}/{provider.usual_model}" if provider.usual_model else None,
        "models": [f"{provider.name}/{name}" for name in provider.models],
        "transcribers": [f"{provider.name}/{name}" for name in provider.transcribers],
        "voices": list(provider.voices),
        "keys": keys,
        "address": {address: address in options.variables} if address else {},
        "ready": (not keys or any(keys.values())) and _placed(provider, options),
        "prices": {
            f"{provider.name}/{name}": price.dated or None
            for name in provider.models
            if (price := price_of(f"{provider.name}/{name}", options.prices)) is not None
        },
    }


def _placed(provider: Provider, options: Options) -> bool:
    known = provider.connect is None or provider.url is not None
    return known or provider.url_variable in options.variables


def as_json(options: Options) -> str:
    """The list as JSON for programs."""
    return json.dumps(models(options), indent=2)


def as_text(options: Options) -> str:
    """The list for a person."""
    return "\n".join(line for each in models(options) for line in _lines(each)).strip()


def _lines(each: dict[str, object]) -> Iterator[str]:
    keys, address = each["keys"], each["address"]
    assert isinstance(keys, dict)
    assert isinstance(address, dict)
    found = [name for name, is_set in keys.items() if is_set]
    needs = _told(found[0], True) if found else _told(" or ".join(keys), False)
    yield f"{each['provider']}: {needs if keys else 'needs no key'}"
    for name, is_set in address.items():
        yield f"  address  {_told(name, is_set)}"
    listed, voices, writers = each["models"], each["voices"], each["transcribers"]
    assert isinstance(listed, list)
    assert isinstance(voices, list)
    assert isinstance(writers, list)
    for name in listed:
        yield f"  {'*' if name == each['usual'] else ' '} {name}"
    if not listed:
        yield f"    {each['provider']}/NAME, the name of your deployment"
    if writers:
        names = [name.partition("/")[2] for name in writers]
        yield f"  writes   {', '.join(names)}"
    if voices:
        yield f"  voices   {', '.join(voices)}"
    yield ""


def _told(name: str, is_set: bool) -> str:
    return f"{name} is {'set' if is_set else 'not set'}"
