"""Few segments, each row rewritten a few times."""

from learner.examples.segment_compaction import MERGE_AT, TIERS, to_merge
from learner.examples.segment_manifest import Segment


def segments(*rows: int) -> list[Segment]:
    return [Segment(f"{number:08d}.parquet", count, 0, 1) for number, count in enumerate(rows)]


def test_a_full_tier_is_merged_with_all_smaller_segments() -> None:
    full = segments(5, *[TIERS[0]] * MERGE_AT, TIERS[1])
    assert to_merge(full) == tuple(full[:-1])
    assert to_merge(full[:-2]) == ()
    assert to_merge(segments(*[TIERS[-1]] * 50)) == ()


def test_years_of_small_appends_keep_few_segments_and_rewrite_each_row_a_few_times() -> None:
    for size in (1, 23, 2_000):
        sizes, rewritten, appends = list[int](), 0, 4_000
        for _ in range(appends):
            merged = to_merge(segments(*sizes))
            kept = [rows for place, rows in enumerate(sizes) if place not in {int(each.name[:8]) for each in merged}]
            rewritten += (together := sum(each.rows for each in merged))
            sizes = [*kept, together + size]
            assert together <= MERGE_AT * sum(TIERS)
            assert sum(rows < TIERS[-1] for rows in sizes) <= MERGE_AT * len(TIERS)
        assert sum(sizes) == appends * size
        assert rewritten <= len(TIERS) * sum(sizes)
