"""Completion in a shell: its scripts, and the candidates for a command line in progress.

A script runs `voicechat` with the words so far, the last of them the incomplete one, and with the
name of the shell in `COMPLETE`. The answer has one candidate per line. With no candidate, bash and
zsh complete names of files.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from voicechat.core.text import clean

COMPLETE = "_VOICECHAT_COMPLETE"

SCRIPTS = {
    "bash": r"""
_voicechat_complete() {
    local word
    COMPREPLY=()
    while IFS= read -r word; do
        COMPREPLY+=("$(printf '%q' "$word")")
    done < <(_VOICECHAT_COMPLETE=bash "$1" "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F _voicechat_complete voicechat
""",
    "zsh": r"""
#compdef voicechat
_voicechat() {
    local -a found
    found=("${(@f)$(_VOICECHAT_COMPLETE=zsh "${words[1]}" "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ -n "${found[1]}" ]]; then
        _describe -V voicechat found
    else
        _files
    fi
}
compdef _voicechat voicechat
""",
    "fish": r"""
function __voicechat_complete
    set -l words (commandline -opc)
    env _VOICECHAT_COMPLETE=fish $words[1] $words[2..-1] (commandline -ct) 2>/dev/null
end
complete -c voicechat -f -a '(__voicechat_complete)'
""",
}
"""The script of each shell."""

_BREAKS = {":", "="}
"""Words of their own in bash, though they are parts of an argument."""


def answer(group: Any, shell: str, words: Sequence[str]) -> int:
    """Print the candidates for the last of these words; the exit code."""
    words, prefix = _joined(words) if shell == "bash" else ([*words], "")
    for value, help_text in candidates(group, words):
        if value.startswith(prefix):
            sys.stdout.write(f"{_line(shell, value[len(prefix) :], help_text)}\n")
    return 0


def candidates(group: Any, words: Sequence[str]) -> list[tuple[str, str]]:
    """Return the values that may replace the last word, each with its help.

    Errors of the settings and of servers mean no candidates.
    """
    from typer._completion_classes import FishComplete

    *args, incomplete = words or [""]
    try:
        items = FishComplete(group, {}, "voicechat", COMPLETE).get_completions(args, incomplete)
    except Exception:  # a shell shows no errors while a person types
        return []
    name, equals, _ = incomplete.partition("=")
    kept = name + equals if equals and name.startswith("--") else ""
    return [(kept + item.value, item.help or "") for item in items if item.value.isprintable()]


def _joined(words: Sequence[str]) -> tuple[list[str], str]:
    """Undo the breaks of bash; also return the part of the last word that bash keeps."""
    found: list[str] = []
    prefix, glue = "", False
    for word in words:
        if found and (glue or word in _BREAKS):
            prefix = found[-1] + (word if word in _BREAKS else "")
            found[-1] += word
        else:
            found.append(word)
            prefix = ""
        glue = word in _BREAKS
    return found, prefix


def _line(shell: str, value: str, help_text: str) -> str:
    help_text = " ".join(clean(help_text).split())
    if shell == "fish" and help_text:
        return f"{value}\t{help_text}"
    if shell == "zsh":
        value = value.replace("\\", "\\\\").replace(":", "\\:")
        return f"{value}:{help_text}" if help_text else value
    return value
