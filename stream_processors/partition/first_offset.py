"""Where a decision began in its partition."""

from __future__ import annotations

from typing import NamedTuple


class FirstOffset(NamedTuple):
    """The offset of a decision's first event, the watermark before it, the request_id (UTF-8), its oldest event time.

    Times are in epoch ms; `watermark` is None before the first event of a log.
    """

    offset: int
    watermark: int | None
    key: bytes
    oldest: int

    @property
    def reached(self) -> int:
        """The watermark once the decision had begun: after a silence that is long after `watermark`."""
        return self.oldest if self.watermark is None else max(self.watermark, self.oldest)
