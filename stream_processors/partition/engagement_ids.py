"""The engagement_ids that a decision has tallied, in little memory.

One id is kept as it is, a few as one bytes object (every object takes some fifty bytes for itself), and many as a set,
which is fast.
"""

from __future__ import annotations

FEW_IDS = 8
BOUNDARY = b"\xff"
"""A byte that no UTF-8 text contains."""

Ids = str | bytes | set[str]
"""One id; up to `FEW_IDS` of them in UTF-8, with a boundary before and after each; or any number."""


def with_id(ids: Ids, added: str) -> Ids | None:
    """The ids with one more; None if it is already among them. A set is changed in place."""
    if isinstance(ids, str):
        return None if ids == added else BOUNDARY.join((b"", ids.encode(), added.encode(), b""))
    if isinstance(ids, set):
        if added in ids:
            return None
        ids.add(added)
        return ids
    spelled = added.encode() + BOUNDARY
    if BOUNDARY + spelled in ids:
        return None
    if ids.count(BOUNDARY) <= FEW_IDS:
        return ids + spelled
    return {added, *(one.decode() for one in ids[1:-1].split(BOUNDARY))}
