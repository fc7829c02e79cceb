"""Shortens values for errors and logs, so that no value makes a message too long."""

from __future__ import annotations

from collections.abc import Sequence

LONGEST_VALUE = 100
MOST_LISTED = 20


def cut(text: str, longest: int) -> str:
    """The text, or its beginning and `…` if it is longer than `longest`."""
    return text if len(text) <= longest else f"{text[:longest]}…"


def listed(names: Sequence[str], most: int = MOST_LISTED) -> str:
    """The names, separated by commas: the first `most`, and how many more there are."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(cut(name, LONGEST_VALUE) for name in names[:most]) + more


def shown(value: object, longest: int = LONGEST_VALUE) -> str:
    """The value's `repr`, shortened; the name of its type if `repr` fails, for example for an int of 5,000 digits."""
    try:
        return cut(repr(value), longest)
    except Exception:  # a __repr__ may raise anything
        return f"<{type(value).__name__}>"
