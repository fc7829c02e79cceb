"""Why a Redis that answers refuses writes, recognised by its error text, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RedisRefusal:
    """A state of Redis in which it refuses writes.

    said    Redis's wording, in a command's or a script's error; redis-py cuts off the code of most errors
    cause   the state, in words
    """

    said: tuple[str, ...]
    cause: str
    fix: str


REFUSALS = (
    RedisRefusal(
        ("used memory > 'maxmemory'",),
        "it has reached its memory limit",
        "raise maxmemory or delete keys that are not Trimtab's; kills, resumes and re-bases can still be written",
    ),
    RedisRefusal(
        ("read only replica", "Link with MASTER is down"),
        "it is a read-only replica",
        "set TRIMTAB_REDIS_URL to the primary, or make this one the primary (REPLICAOF NO ONE)",
    ),
    RedisRefusal(
        ("Not enough good replicas",),
        "it has fewer replicas than its min-replicas-to-write",
        "start its replicas again, or lower min-replicas-to-write",
    ),
    RedisRefusal(
        ("MISCONF",),
        "it cannot save to its disk and therefore refuses writes",
        "free space on its disk; to write before that, set stop-writes-on-bgsave-error to no",
    ),
)


def refusal_in(error: str) -> RedisRefusal | None:
    """The state that an error of Redis describes; None if it is none of these."""
    return next((each for each in REFUSALS if any(words in error for words in each.said)), None)
