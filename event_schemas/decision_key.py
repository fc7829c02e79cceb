"""What makes one decision: its request_id together with the time of its Request.

Producers give every decision an id of its own. Where one uses an id again after the first decision was forgotten, the
join makes an example of each, and the ids alone no longer tell a second copy of an example, which readers drop, from
another decision, which they keep. The time does: no two decisions of one id that the join made examples of began at the
same time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class DecisionKey(NamedTuple):
    """Equal for all copies of one example and for nothing else; `event_time` is the Request's (epoch ms)."""

    request_id: str
    event_time: int

    def __str__(self) -> str:
        return f"{self.request_id} of {self.event_time}"

    @classmethod
    def of_request(cls, request: Mapping[str, Any]) -> DecisionKey:
        """The key of the decision that a Request record begins."""
        return cls(request["request_id"], request["event_time"])

    @classmethod
    def of_example(cls, example: Mapping[str, Any]) -> DecisionKey:
        """The key of the decision in an Example record."""
        return cls.of_request(example["request"])
