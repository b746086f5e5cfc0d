"""Parts of voicechat that need an extra of the package."""

from __future__ import annotations

import importlib.util

from voicechat.errors import UsageError


def require_webrtc() -> None:
    """Check that aiortc is installed. Raises `UsageError` if it is not."""
    if importlib.util.find_spec("aiortc") is None:
        raise UsageError(
            "WebRTC needs a part that is not installed.", "Type: pip install 'voicechat[webrtc]'"
        )
