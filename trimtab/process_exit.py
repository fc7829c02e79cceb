"""How a command ends when something is wrong: two lines for people, and an exit code for supervisors.

| code | meaning |
|---|---|
| 0 | done, or told to end and ended in order |
| 1 | failed; trying again may mend it |
| 2 | the command line is not understood |
| 3 | failed, and trying again cannot mend it: a person has to see to it |
"""

from __future__ import annotations

import sys

from event_schemas.errors import TrimtabError

FAILED = 1
USAGE = 2
NEEDS_A_PERSON = 3


def tell(fault: TrimtabError) -> None:
    """What is wrong and how to mend it, on stderr."""
    sys.stderr.write(f"error: {fault.what}\nmend: {fault.mend}\n")
