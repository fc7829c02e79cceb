"""What identifies a decision: its request_id together with the time of its Request.

Producers give every decision its own id. If a producer reuses an id after the join has forgotten the first decision,
the join writes an example for each of the two. The id alone then cannot distinguish a second copy of one example,
which readers drop, from another decision, which they keep. The request time can: the join never writes examples for
two decisions with the same id and the same request time.
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
