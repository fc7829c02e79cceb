"""How a command reports a failure: two lines for people, and an exit code for supervisors.

| code | meaning |
|---|---|
| 0 | done, or stopped cleanly when told to |
| 1 | failed; a restart may help |
| 2 | the command line is not understood |
| 3 | failed, and a restart cannot help: a person has to fix it |
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
    """Writes what is wrong and how to fix it to stderr, one line each."""
    what, fix = (" ".join(text.split()) for text in (fault.what, fault.fix))
    sys.stderr.write(f"error: {what}\nfix: {fix}\n")


def of_the_machine(fault: OSError) -> TrimtabError:
    """Turns a refusal of the operating system, such as a file that cannot be written, into an error for people."""
    if fault.errno in FULL_DISK:
        fix = "free space on that disk, or set TRIMTAB_DATA_DIR to a directory on another one"
    elif fault.filename is None:
        fix = "find out why this machine refuses that, then start again"
    else:
        fix = "make that path usable for this user, or choose another one; Trimtab writes to TRIMTAB_DATA_DIR"
    return TrimtabError(f"{fault.filename}: {fault.strerror}" if fault.filename else str(fault), fix=fix)
