"""Estimated cost of a conversation."""

from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicechat.core.items import Usage
from voicechat.core.price import Price, estimate

FULL = Price(4, 0.4, 16, 32, 0.4, 64, 5)
tokens = st.integers(0, 10**6)


def test_each_kind_of_token_has_its_price():
    million = 10**6
    assert estimate(Usage(input_tokens=million, input_text_tokens=million), FULL) == 4
    assert estimate(Usage(input_tokens=million, input_audio_tokens=million), FULL) == 32
    assert estimate(Usage(input_tokens=million, input_image_tokens=million), FULL) == 5
    assert estimate(Usage(output_tokens=million, output_text_tokens=million), FULL) == 16
    assert estimate(Usage(output_tokens=million, output_audio_tokens=million), FULL) == 64
    assert estimate(Usage(), FULL) == 0


def test_tokens_of_unknown_kind_count_as_text():
    assert estimate(Usage(input_tokens=10**6), FULL) == 4
    assert estimate(Usage(output_tokens=10**6), FULL) == 16


def test_cached_tokens_cost_less():
    heard = Usage(input_tokens=1000, input_audio_tokens=1000, cached_tokens=600,
                  cached_audio_tokens=600)  # fmt: skip
    assert estimate(heard, FULL) == pytest.approx((400 * 32 + 600 * 0.4) / 1e6)
    mixed = Usage(input_tokens=1000, input_text_tokens=250, input_audio_tokens=750,
                  cached_tokens=400)  # fmt: skip
    expected = (150 * 4 + 100 * 0.4 + 450 * 32 + 300 * 0.4) / 1e6
    assert estimate(mixed, FULL) == pytest.approx(expected)
    assert estimate(heard, Price(audio_in=32)) == pytest.approx(1000 * 32 / 1e6)


def test_cached_images_have_a_price_of_their_own():
    price = Price(4, 0.4, 24, 32, 0.4, 64, 5, 0.5)
    seen = Usage(input_tokens=1000, input_image_tokens=1000, cached_tokens=800,
                 cached_image_tokens=800)  # fmt: skip
    assert estimate(seen, price) == pytest.approx((200 * 5 + 800 * 0.5) / 1e6)
    unnamed = Usage(input_tokens=1000, input_text_tokens=500, input_image_tokens=500,
                    cached_tokens=400)  # fmt: skip
    expected = (300 * 4 + 200 * 0.4 + 300 * 5 + 200 * 0.5) / 1e6
    assert estimate(unnamed, price) == pytest.approx(expected)


def test_paused_time_costs_less():
    price = Price(minute=0.05, paused_minute=0.02)
    usage = Usage(seconds=120, paused_seconds=60)
    assert estimate(usage, price) == pytest.approx(0.07)
    assert estimate(usage, Price(minute=0.05)) == pytest.approx(0.1)


def test_a_recorded_response():
    usage = Usage(199, 143, 56, 119, 24, 0, 64, 14, 42, cached_text_tokens=64)
    expected = (55 * 4 + 64 * 0.4 + 24 * 32 + 14 * 16 + 42 * 64) / 1e6
    assert estimate(usage, FULL) == pytest.approx(expected)


def test_time_is_billed_by_the_minute():
    assert estimate(Usage(seconds=90), Price(minute=0.08)) == pytest.approx(0.12)
    per_response = [Usage(seconds=s) for s in (5, 1, 0)]
    total = reduce(Usage.__add__, per_response)
    assert estimate(total, Price(minute=0.6)) == pytest.approx(0.06)


@given(st.builds(Usage, *[tokens] * 9, st.floats(0, 1e6), tokens, tokens))
def test_no_cost_is_negative(usage):
    assert estimate(usage, FULL) >= 0


@given(tokens, tokens)
def test_costs_are_additive(first, second):
    a, b = Usage(input_tokens=first), Usage(input_tokens=second)
    assert estimate(a + b, FULL) == pytest.approx(estimate(a, FULL) + estimate(b, FULL))
