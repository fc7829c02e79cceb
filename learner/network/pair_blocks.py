"""How many requests are scored at once: each with all arms."""

BATCH_PAIRS = 1 << 16
"""Pairs of a request and an arm that the network scores at once."""


def rows_at_once(arms: int) -> int:
    """How many requests to score at once with all of so many arms, at least one."""
    return max(1, BATCH_PAIRS // arms)
