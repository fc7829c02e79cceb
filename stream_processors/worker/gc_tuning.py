"""How the Python interpreter runs while it joins: what suits programs in general costs a worker a quarter of its time.

- The cyclic garbage collector looks for cycles after every 700 new containers. A worker makes thousands of tuples and
  lists a millisecond, none of them in cycles; looking less often finds the few that other code makes just as well.
- Threads hand the interpreter over every 5 ms. The thread that fetches needs it for moments only, between work done
  outside it; at 0.5 ms it waits less and the two overlap.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

COLLECTOR_THRESHOLDS = (10_000, 20, 50)
SWITCH_SECONDS = 0.0005


@contextmanager
def tuned_for_joining() -> Iterator[None]:
    """Sets the pace of this process, and sets it back at the end."""
    thresholds, interval = gc.get_threshold(), sys.getswitchinterval()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTOR_THRESHOLDS)
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        yield
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
        sys.setswitchinterval(interval)
