"""Which user ids name a person: blanks and placeholders such as `null` or `undefined` name nobody.

As people they would be one very active user, who is all on one side of every split.
"""

from __future__ import annotations

PLACEHOLDERS = frozenset(
    {
        "",
        "-",
        "-1",
        "0",
        "00000000-0000-0000-0000-000000000000",
        "anonymous",
        "guest",
        "n/a",
        "na",
        "nan",
        "nil",
        "none",
        "null",
        "undefined",
        "unknown",
    }
)
"""In lower case; upper case and spaces around them make no difference."""


def present(text: str | None) -> str | None:
    """The text, or None if it is blank."""
    return None if text is None or not text.strip() else text


def person(user_id: str | None) -> str | None:
    """The user id, or None if it is blank or a placeholder: whatever splits users treats that as no user."""
    return None if user_id is None or user_id.strip().lower() in PLACEHOLDERS else user_id
