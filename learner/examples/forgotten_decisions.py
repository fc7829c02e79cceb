"""Which checkpoints learnt from rows that were forgotten later, by the times of these rows and the order of forgetting.

Forgotten decisions are numbered as they are forgotten. A manifest has the list's id and its last number at the time of
training: what was forgotten until then was not among the rows. So the answer needs nothing from the process that forgot
a user; it may have been killed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class ForgottenDecisions:
    """Explored decisions of forgotten users: int64[n] `numbers`, ascending, and `times` of their requests (epoch ms).

    `last` is the highest number that was ever given, also to decisions of other slices; `list_id` is None if nobody was
    forgotten.
    """

    list_id: str | None = None
    last: int = 0
    numbers: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    times: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def mark(self) -> dict[str, Any]:
        """For the manifest of a checkpoint that is trained now."""
        return {"list": self.list_id, "last": self.last}

    def last_before(self, window: Mapping[str, Any]) -> int:
        """The last number before the training of the checkpoint with this window; 0 if it knew another list or none.

        Raises KeyError, TypeError or ValueError if the manifest is malformed.
        """
        mark = window.get("forgotten", {"list": None})
        return int(mark["last"]) if self.list_id is not None and mark["list"] == self.list_id else 0

    def learnt(self, window: Mapping[str, Any]) -> bool:
        """Whether a checkpoint with this window in its manifest was trained on any of them; raises as `last_before`."""
        first, to = int(window["train_from"]), int(window["train_to"])
        return self.between(first, to, self.last_before(window))

    def between(self, since: int, until: int, after: int) -> bool:
        """Whether one with a request time in the half-open span was forgotten after the number `after`."""
        return bool(((self.times >= since) & (self.times < until) & (self.numbers > after)).any())
