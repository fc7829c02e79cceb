"""How a command ends when something is wrong: two lines for people, and an exit code for supervisors.

| code | meaning |
|---|---|
| 0 | done, or told to end and ended in order |
| 1 | failed; trying again may mend it |
| 2 | the command line is not understood |
| 3 | failed, and trying again cannot mend it: a person has to see to it |
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
    """What is wrong and how to mend it, on stderr, one line each."""
    what, mend = (" ".join(text.split()) for text in (fault.what, fault.mend))
    sys.stderr.write(f"error: {what}\nmend: {mend}\n")


def of_the_machine(fault: OSError) -> TrimtabError:
    """What the machine refused, such as a file that cannot be written, as an error for people."""
    if fault.errno in FULL_DISK:
        mend = "free space on that disk, or set TRIMTAB_DATA_DIR to a directory on another one"
    elif fault.filename is None:
        mend = "see why this machine refuses that, and start again"
    else:
        mend = "make that path usable for this user, or name another one; TRIMTAB_DATA_DIR is where Trimtab writes"
    return TrimtabError(f"{fault.filename}: {fault.strerror}" if fault.filename else str(fault), mend=mend)
