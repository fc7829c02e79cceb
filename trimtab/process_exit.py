"""How a command ends when something is wrong: two lines for people, and an exit code for supervisors.

| code | meaning |
|---|---|
| 0 | done, or told to end and ended in order |
| 1 | failed; trying again may fix it |
| 2 | the command line is not understood |
| 3 | failed, and trying again cannot fix it: a person has to see to it |
"""

from __future__ import annotations

import errno
import sys

from event_schemas.errors import TrimtabError

FAILED = 1
USAGE = 2
NEEDS_A_PERSON = 3


FULL_DISK = frozenset({errno.ENOSPC, errno.EDQUOT})


def tell(fault: TrimtabError) -> None:
    """What is wrong and how to fix it, on stderr, one line each."""
    what, fix = (" ".join(text.split()) for text in (fault.what, fault.fix))
    sys.stderr.write(f"error: {what}\nfix: {fix}\n")


def of_the_machine(fault: OSError) -> TrimtabError:
    """What the machine refused, such as a file that cannot be written, as an error for people."""
    if fault.errno in FULL_DISK:
        fix = "free space on that disk, or set TRIMTAB_DATA_DIR to a directory on another one"
    elif fault.filename is None:
        fix = "see why this machine refuses that, and start again"
    else:
        fix = "make that path usable for this user, or name another one; TRIMTAB_DATA_DIR is where Trimtab writes"
    return TrimtabError(f"{fault.filename}: {fault.strerror}" if fault.filename else str(fault), fix=fix)
