"""Which small segments are put together, so that a log of years keeps few files and each row is rewritten a few times.

Segments have tiers by their rows. Once a tier has MERGE_AT of them, they and all smaller ones become one segment with
the rows that are about to be stored. So each row is rewritten about once per tier. There are at most MERGE_AT segments
of each tier, and those above the last tier are never rewritten. Pure.
"""

from collections.abc import Sequence

from learner.examples.segment_manifest import Segment

TIERS = (32, 256, 2_048, 16_384)
"""A segment belongs to the first tier of which it has fewer rows."""
MERGE_AT = 8
"""A tier with as many segments is merged: in memory there are at most MERGE_AT · Σ TIERS = 150,000 rows."""


def to_merge(segments: Sequence[Segment]) -> tuple[Segment, ...]:
    """The segments that are merged into the next one, in their order; most often none."""
    merged: tuple[Segment, ...] = ()
    smaller = 0
    for limit in TIERS:
        below = [segment for segment in segments if segment.rows < limit]
        if len(below) - smaller >= MERGE_AT:
            merged = tuple(below)
        smaller = len(below)
    return merged
