"""A warning when the folders of the user cannot be written."""

from __future__ import annotations

from voicechat.system.home_folder import is_temporary, unwritable


def loses_state() -> bool:
    """Return True if nothing can be written to the folder of approvals and the history."""
    import platformdirs

    state = platformdirs.user_state_path("voicechat", appauthor=False)
    return bool(unwritable(state))


def warning() -> str:
    """Return a sentence about the files that this run cannot keep; empty if it can keep all."""
    import platformdirs

    if is_temporary():
        return (
            "There is no home folder, so nothing is kept when voicechat ends."
            " Set HOME to keep notes, approvals and devices."
        )
    data = platformdirs.user_data_path("voicechat", appauthor=False)
    state = platformdirs.user_state_path("voicechat", appauthor=False)
    found, unkept = [], []
    kept = ((data, ["notes", "lists"]), (state, ["approvals", "chosen devices", "conversations"]))
    for folder, names in kept:
        if reason := unwritable(folder):
            found.append(f"Cannot write to {folder}: {reason}.")
            unkept += names
    if not found:
        return ""
    return f"{found[0]} New {', '.join(unkept[:-1])} and {unkept[-1]} last until voicechat ends."
