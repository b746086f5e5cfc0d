"""The models: with their price, what they can do, and whether their key is set."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from voicechat.core.price import Price
from voicechat.line_mode.pickers.picker import Details, PickerItem, PickResult
from voicechat.line_mode.setting_commands import model

if TYPE_CHECKING:
    from voicechat.core.settings import Capabilities
    from voicechat.session.model_list import ListedProvider
    from voicechat.session.session import Session


def model_items(session: Session) -> list[PickerItem]:
    """Return the models for conversations of every provider."""
    from voicechat.session.model_list import list_providers

    options = session.options
    found = [
        _item(session, provider, name)
        for provider in list_providers(options)
        for name in provider.models
    ]
    if session.model and session.model not in {item.key for item in found}:
        group = session.model.partition("/")[0]
        found.insert(0, PickerItem(session.model, session.model, "in use", group, is_current=True))
    return found


def choose_model(session: Session, item: PickerItem) -> PickResult:
    """Continue with this model."""
    if item.key == session.model:
        return PickResult(f"This is {session.model}.", closes=True)
    return PickResult(model(session, item.key) or "", closes=True)


def _item(session: Session, provider: ListedProvider, name: str) -> PickerItem:
    is_current = name == session.model
    price = price_text(_price(session, name))
    parts = ["in use" if is_current else "", key_state(provider), price]
    return PickerItem(
        name,
        name,
        " · ".join(filter(None, parts)),
        provider.name,
        is_current,
        enter="" if is_current else "switches",
        details=partial(_details, session, provider, name),
    )


def key_state(provider: ListedProvider) -> str:
    """Return if the key and the address that a provider needs are set."""
    if not provider.keys:
        state = "needs no key"
    elif provider.has_key:
        state = "✓ key is set"
    else:
        state = "✗ no key"
    is_missing = not provider.is_ready and provider.has_key
    return f"{state}, no address" if is_missing else state


def price_text(price: Price | None) -> str:
    """Return a price in one line: input and output for a million audio tokens, or a minute."""
    if price is None:
        return "price unknown"
    if price.minute:
        return f"${price.minute:g}/min"
    if price.audio_in or price.audio_out:
        return f"${price.audio_in:g} / ${price.audio_out:g} per 1M"
    if price.text_in or price.text_out:
        return f"${price.text_in:g} / ${price.text_out:g} per 1M (text)"
    return "free"


def _price(session: Session, name: str) -> Price | None:
    from voicechat.session.model_list import listed_price

    return listed_price(name, session.options)


def _details(session: Session, provider: ListedProvider, name: str) -> Details:
    return list(_facts(session, provider, name))


def _facts(session: Session, provider: ListedProvider, name: str) -> Iterator[tuple[str, str]]:
    from voicechat.session.model_list import listed_capabilities

    is_set = [variable for variable, found in provider.keys.items() if found]
    if is_set:
        yield "Key", f"{is_set[0]} is set"
    elif provider.keys:
        yield "Key", f"set {' or '.join(provider.keys)}"
    yield from (
        ("Address", f"{variable} is {'set' if found else 'not set'}")
        for variable, found in provider.address.items()
    )
    price = _price(session, name)
    if price is not None and (price.audio_in or price.text_in):
        yield (
            "Price",
            (
                f"for a million tokens: audio ${price.audio_in:g} in, ${price.audio_out:g} out;"
                f" text ${price.text_in:g} in, ${price.text_out:g} out"
            ),
        )
    elif price is not None:
        yield "Price", price_text(price)
    if price is not None and price.dated:
        yield "Price read", price.dated
    if limits := provider.limits.get(name):
        yield "Context", f"{limits.context_tokens:,} tokens; output {limits.output_tokens:,}"
    can = listed_capabilities(name)
    if can is not None:
        yield "Can", ", ".join(abilities(can))
    if voices := provider.model_voices.get(name, provider.voices):
        yield "Voices", ", ".join(voices)


def abilities(can: Capabilities) -> Iterator[str]:
    """Yield what a model can do, in words."""
    yield "speak"
    if can.text_input:
        yield "read text"
    if can.text_output:
        yield "write text"
    if can.pictures:
        yield "see pictures"
    if can.remote_tools:
        yield "call MCP servers itself"
    if can.speed_range:
        yield f"speak faster and slower ({can.speed_range[0]:g} to {can.speed_range[1]:g})"
    if can.verbatim:
        yield "speak a given text"
    if can.out_of_band:
        yield "answer outside the conversation"
    if can.continuous:
        yield "listen while it speaks"
