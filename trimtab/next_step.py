"""What a command leaves to do: the next command, on stderr, so that stdout stays the command's own output."""

from __future__ import annotations

import sys

NEXT = "next: "
GOVERNED = "sign with a governance key: TRIMTAB_SIGNING_KEY"
"""What the commands of people need."""


def say_next_to_learn(decisions: int) -> None:
    """Write what follows when `decisions` have been written to the log."""
    say_next(
        f"trimtab learn --once --wait-examples {decisions}",
        "it learns from these decisions once the join has made examples of them; sign with a learner's key",
    )


def say_next(command: str, why: str) -> None:
    """Write the command to run next, on a line of its own to copy, and the reason on the line below."""
    sys.stderr.write(f"{NEXT}{command}\n{' ' * len(NEXT)}{' '.join(why.split())}\n")
