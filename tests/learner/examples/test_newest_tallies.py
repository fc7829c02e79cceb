"""What each source said last is kept, within bounds."""

from event_schemas.log_record import LogRecord
from learner.examples.newest_tallies import NewestTallies, NewestTally


def record(size: int, offset: int = 0) -> LogRecord:
    return LogRecord("t.tallies", 0, offset, 0, b"key", b"x" * size)


def test_the_newest_tally_replaces_the_one_before_and_remembers_its_counts() -> None:
    newest = NewestTallies()
    for offset, count in enumerate((1, 2, 3)):
        newest.add("a", {"POLICY": count}, record(9, offset))
    newest.add("b", {}, record(9))
    assert dict(newest) == {
        "a": NewestTally({"POLICY": 3}, {"POLICY": 2}, record(9, 2)),
        "b": NewestTally({}, None, record(9)),
    }


def test_beyond_the_bound_the_source_silent_longest_keeps_its_counts_only() -> None:
    newest = NewestTallies(most_bytes=25)
    for source in ("a", "b", "a", "c"):
        newest.add(source, {"POLICY": 1}, record(10))
    assert {source: tally.record is not None for source, tally in newest} == {"a": True, "b": False, "c": True}
    assert newest.let_go == 1
    assert all(tally.counts == {"POLICY": 1} for _, tally in newest)
    newest.add("b", {"POLICY": 2}, record(26))
    assert [tally.record for _, tally in newest] == [None] * 3, "one that exceeds the bound alone is let go too"
