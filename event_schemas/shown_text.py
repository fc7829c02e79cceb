"""Text for errors and logs: whole where it is short, else cut, so that no value fills a line of its own."""

from __future__ import annotations

LONGEST_VALUE = 100


def cut(text: str, longest: int) -> str:
    """The text, or its beginning and `…`."""
    return text if len(text) <= longest else f"{text[:longest]}…"


def shown(value: object, longest: int = LONGEST_VALUE) -> str:
    """A value as Python spells it; one that has no spelling, such as an int of 5,000 digits, by its type."""
    try:
        return cut(repr(value), longest)
    except Exception:  # anybody's __repr__ may raise anything
        return f"<{type(value).__name__}>"
