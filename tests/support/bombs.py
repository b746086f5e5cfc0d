"""Bodies of HTTP answers that expand to far more than they are."""

from __future__ import annotations

import gzip

NESTED = "gzip, gzip"
"""The encoding of `BOMB`."""

BOMB = gzip.compress(gzip.compress(bytes(50_000_000), 9), 9)
"""Less than 1 kB for 50 MB."""
