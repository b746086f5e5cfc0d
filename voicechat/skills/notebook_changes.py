"""The difference between two states of the notebook, and its inverse.

The inverse applies to the current contents, which another process may have changed since: it takes
away the entries that the change added, and puts back those that it removed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from voicechat.skills.notebook_pages import NotebookPages
from voicechat.skills.wording import joined, sentence


def revert(pages: NotebookPages, before: NotebookPages, after: NotebookPages) -> str:
    """Undo the change from `before` to `after` in `pages`; return the sentence to say."""
    said = [
        _revert_list(pages, name, before.lists.get(name, []), after.lists.get(name, []))
        for name in sorted(before.lists.keys() | after.lists.keys())
    ]
    pages.notes, gone, back = _reverted(pages.notes, before.notes, after.notes)
    if gone:
        said.append(f"I deleted the note: {joined(gone)}")
    if back:
        said.append(f"I put back {'the note' if len(back) == 1 else 'the notes'}: {' '.join(back)}")
    pages.facts, gone, back = _reverted(pages.facts, before.facts, after.facts)
    if gone:
        said.append("I've forgotten that.")
    if back:
        said.append("I remember what you told me again.")
    if before.name != after.name == pages.name:
        pages.name = before.name
        said.append(f"I'll call you {before.name}." if before.name else "I've forgotten your name.")
    return " ".join(map(sentence, filter(None, said))) or "That is no longer there."


def _revert_list(
    pages: NotebookPages, name: str, before: Sequence[str], after: Sequence[str]
) -> str:
    items, gone, back = _reverted(pages.lists.get(name, []), before, after)
    if items or name in pages.lists:
        pages.lists[name] = items
    if not items:
        pages.lists.pop(name, None)
    said = []
    if gone:
        said.append(f"I took {joined(gone)} off your {name} list.")
    if back:
        said.append(f"I put {joined(back)} back on your {name} list.")
    return " ".join(said)


def _reverted(
    now: Sequence[str], before: Sequence[str], after: Sequence[str]
) -> tuple[list[str], list[str], list[str]]:
    """Return the reverted entries, those that were taken away, and those that were put back."""
    entries, gone, back = list(now), [], []
    for entry in (Counter(after) - Counter(before)).elements():
        if entry in entries:
            place = len(entries) - 1 - entries[::-1].index(entry)
            gone.append(entries.pop(place))
    missing = Counter(before) - Counter(after)
    for place, entry in enumerate(before):
        if missing[entry] > 0:
            missing[entry] -= 1
            entries.insert(min(place, len(entries)), entry)
            back.append(entry)
    return entries, gone, back
