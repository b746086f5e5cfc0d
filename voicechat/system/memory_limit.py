"""The limit of address space that a shell or a service sets for a process (ulimit -v).

Below the least size, libraries in C and Rust hang or abort when an allocation fails, so the limit
is checked before they are loaded.
"""

from __future__ import annotations

from voicechat.errors import VoicechatError

LEAST_MB = 350
"""Address space of a process for typed text; measured: it works from 240 to 320 MB on."""
SOUND_MB = 1_500
"""Address space of the audio process; measured: it works from 900 to 1500 MB on."""

_HINT = "Type: ulimit -v unlimited"


def require() -> None:
    """Check the limit. Raises `VoicechatError` if it is too low for any conversation."""
    limit = _limit_mb()
    if limit is not None and limit < LEAST_MB:
        raise VoicechatError(
            f"A program here may use only {limit} MB of memory (ulimit -v),"
            f" and voicechat needs {LEAST_MB} MB.",
            _HINT,
        )


def sound_warning() -> str:
    """Return a sentence if the limit is too low for sound; else an empty text."""
    limit = _limit_mb()
    if limit is None or limit >= SOUND_MB:
        return ""
    return (
        f"A program here may use only {limit} MB of memory (ulimit -v), and sound needs"
        f" {SOUND_MB} MB. {_HINT}"
    )


def _limit_mb() -> int | None:
    """Return the limit in MB; None if there is none."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if soft == resource.RLIM_INFINITY else soft >> 20
