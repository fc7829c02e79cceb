"""The commit protocol: a kill at any step neither loses nor duplicates rows."""

import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from structlog.testing import capture_logs

from learner.examples.example_columns import shipped_columns
from learner.examples.learner_errors import ExamplesLost, StoreDamaged, StoreMismatch, StoreUnwritable
from learner.examples.segment_compaction import MERGE_AT
from learner.examples.segment_reading import over_segments, read_segments
from learner.examples.segment_store import AppendCounts, SegmentStore
from tests.learner.dying_appends import Append, Death, died
from tests.learner.segment_samples import FOREVER, ROWS, as_version_0_1_0, filled, rows


def open_store(directory: Path, retention: int = FOREVER, reread: bool = False) -> SegmentStore:
    return SegmentStore(directory, "t", retention, reread=reread)


def test_rows_and_offsets_are_there_after_reopening(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        assert store.append(rows(0, 10), {0: 10}) == AppendCounts(stored=10)
        store.append(rows(10, 5), {1: 5})
    with open_store(tmp_path) as store:
        assert dict(store.next_offsets) == {0: 10, 1: 5}
        assert store.rows == 15
        assert read_segments(tmp_path)["request_event_time"].to_list() == list(range(15))


def test_the_first_copy_of_a_request_wins(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        doubled = pl.concat([rows(0, 3, "first"), rows(1, 1, "second")])
        assert store.append(doubled, {0: 4}) == AppendCounts(stored=3, duplicate=1)
    with open_store(tmp_path) as store:
        assert store.append(rows(2, 2, "third"), {0: 6}) == AppendCounts(stored=1, duplicate=1)
        assert read_segments(tmp_path)["mark"].to_list() == ["first"] * 3 + ["third"]


def test_an_id_used_again_at_another_time_is_another_decision(tmp_path: Path) -> None:
    later = rows(0, 3, "again").with_columns(pl.col("request_event_time") + 1_000)
    with open_store(tmp_path) as store:
        assert store.append(pl.concat([rows(0, 3), later, later]), {0: 9}) == AppendCounts(stored=6, duplicate=3)
    with open_store(tmp_path) as store:
        assert store.append(pl.concat([later, rows(0, 3)]), {0: 15}) == AppendCounts(duplicate=6)
        assert store.rows == 6


def test_offsets_advance_without_rows(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.append(pl.DataFrame(), {0: 3})
    assert dict(open_store(tmp_path).next_offsets) == {0: 3}


def test_retention_drops_old_segments_and_refuses_old_rows(tmp_path: Path) -> None:
    with open_store(tmp_path, retention=50) as store:
        store.append(rows(0, 10), {0: 10})
        store.append(rows(100, 10), {0: 20})
        assert read_segments(tmp_path)["request_event_time"].min() == 100
        assert store.append(rows(0, 3), {0: 23}) == AppendCounts(expired=3)
    assert len(list(tmp_path.glob("*.parquet"))) == 1


def test_many_small_segments_are_merged(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        for i in range(MERGE_AT + 1):
            store.append(rows(i, 1), {0: i + 1})
        assert len(list(tmp_path.glob("*.parquet"))) == 1
        assert read_segments(tmp_path)["request_event_time"].to_list() == list(range(MERGE_AT + 1))


def test_two_writers_and_another_topic_are_refused(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.append(rows(0, 1), {0: 1})
        with pytest.raises(StoreMismatch, match="another process"):
            open_store(tmp_path)
    with pytest.raises(StoreMismatch, match="'t', not 'other'"):
        SegmentStore(tmp_path, "other", FOREVER)
    open_store(tmp_path).close()


def test_offsets_of_another_topic_are_refused_until_the_topic_is_read_again(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.require_topic("first")
        store.adopt_topic("first")
        store.adopt_topic("second")  # nothing was read yet
        store.append(rows(0, 3), {0: 3})
    with open_store(tmp_path) as store:
        store.require_topic("second")
        with pytest.raises(ExamplesLost, match=r"created again: .* topic id second, its id is now third") as refused:
            store.require_topic("third")
        assert "--reread" in refused.value.fix
        assert dict(store.next_offsets) == {0: 3}
    with SegmentStore(tmp_path, "t", FOREVER, reread=True) as store:
        store.require_topic("third")
        store.adopt_topic("third")
        assert dict(store.next_offsets) == {}
        assert store.append(rows(1, 3), {0: 3}) == AppendCounts(stored=1, duplicate=2)


def test_offsets_of_an_older_version_are_taken_over_once_and_the_log_says_so(tmp_path: Path) -> None:
    filled(tmp_path)
    as_version_0_1_0(tmp_path)
    with capture_logs() as said, open_store(tmp_path) as store:
        store.require_topic("now")
        store.adopt_topic("now")
        assert dict(store.next_offsets) == {0: 3 * ROWS}
    assert [line["event"] for line in said] == [
        "segments of an older version taken over",
        "offsets of an older version taken over",
    ]
    with capture_logs() as said, open_store(tmp_path) as store:
        store.adopt_topic("now")
        with pytest.raises(ExamplesLost, match="created again"):
            store.require_topic("later")
    assert said == []


def test_segments_without_any_manifest_are_damage_for_readers_too(tmp_path: Path) -> None:
    files = filled(tmp_path)
    (tmp_path / "manifest.json").unlink()
    for read in (read_segments, open_store):
        with pytest.raises(StoreDamaged, match="manifest is missing, but 3 segments"):
            read(tmp_path)
    assert all(path.exists() for path in files)


def test_the_first_segment_alone_is_set_aside_and_read_again(tmp_path: Path) -> None:
    """As a process of version 0.1.0 leaves it that dies in its first commit, or a person who removes the manifest."""
    [first, *others] = filled(tmp_path)
    for path in (tmp_path / "manifest.json", *others):
        path.unlink()
    content = first.read_bytes()
    with pytest.raises(StoreDamaged, match="manifest is missing, but 1 segment"):
        read_segments(tmp_path)
    with open_store(tmp_path) as store:
        assert (store.rows, dict(store.next_offsets)) == (0, {})
        assert (tmp_path / "damaged" / f"unnamed-{first.name}").read_bytes() == content
        store.append(rows(0, ROWS), {0: ROWS})
    with open_store(tmp_path) as store:
        assert read_segments(tmp_path).height == ROWS
    assert not (tmp_path / "damaged").exists(), "what is stored again needs no copy"


def test_an_opened_directory_has_a_manifest(tmp_path: Path) -> None:
    open_store(tmp_path).close()
    assert read_segments(tmp_path).height == 0
    with SegmentStore(tmp_path, "another", FOREVER) as store:  # nothing was read of the first
        store.append(rows(0, 1), {0: 1})
    with pytest.raises(StoreMismatch, match="'another', not 't'"):
        open_store(tmp_path)


def test_a_damaged_segment_is_not_merged_and_the_append_changes_nothing(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        for i in range(MERGE_AT):
            store.append(rows(i, 1), {0: i + 1})
        broken = tmp_path / "00000007.parquet"
        broken.write_bytes(broken.read_bytes()[:-1])
        before = (tmp_path / "manifest.json").read_bytes()
        with pytest.raises(StoreDamaged, match=r"00000007\.parquet"):
            store.append(rows(MERGE_AT, 1), {0: MERGE_AT + 1})
        assert dict(store.next_offsets) == {0: MERGE_AT}
        assert (tmp_path / "manifest.json").read_bytes() == before


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnwritable, match="cannot be written"):
        open_store(tmp_path / "file" / "examples")


def test_reading_an_empty_directory_gives_no_rows(tmp_path: Path) -> None:
    assert read_segments(tmp_path).height == 0


def test_reading_without_its_segment_is_an_error(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.append(rows(0, 1), {0: 1})
    next(tmp_path.glob("*.parquet")).unlink()
    for read in (read_segments, open_store):
        with pytest.raises(StoreDamaged, match="missing"):
            read(tmp_path)


def heights(parts: Iterator[pl.DataFrame]) -> list[int]:
    return [part.height for part in parts]


def test_segments_outside_the_span_are_not_read(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        for first, count in ((0, 5), (10, 6), (20, 7)):
            store.append(rows(first, count), {0: first + count})
    assert over_segments(tmp_path, heights) == [5, 6, 7]
    assert over_segments(tmp_path, heights, span=(15, 20)) == [6]
    assert over_segments(tmp_path, heights, span=(16, 20)) == []
    assert over_segments(tmp_path, heights, span=(4, 11)) == [5, 6]
    (tmp_path / "00000000.parquet").write_bytes(b"damaged")
    assert over_segments(tmp_path, heights, span=(10, 99)) == [6, 7]


def test_a_reading_begins_again_if_the_writer_deletes_what_it_reads(tmp_path: Path) -> None:
    calls = []

    def slowly(parts: Iterator[pl.DataFrame]) -> int:
        calls.append("")
        count = next(parts).height
        if len(calls) == 1:
            store.append(rows(1_000, 5), {0: 20})  # everything before expires
        return count + sum(part.height for part in parts)

    with open_store(tmp_path, retention=10) as store:
        store.append(rows(0, 3), {0: 3})
        store.append(rows(3, 4), {0: 7})
        assert over_segments(tmp_path, slowly) == 5
    assert len(calls) == 2


def test_keys_are_forgotten_with_their_segments(tmp_path: Path) -> None:
    with open_store(tmp_path, retention=10) as store:
        store.append(rows(0, 5), {0: 5})
        store.append(rows(100, 5), {0: 10})
        keys = {(f"r{i}", i) for i in (*range(5), *range(100, 105))}
        assert store._keys.lacking(keys) == {(f"r{i}", i) for i in range(5)}
        assert store.append(rows(0, 1), {0: 11}) == AppendCounts(expired=1)


def test_segments_of_several_releases_are_read_and_merged(tmp_path: Path) -> None:
    """The release before lacks columns, the next one has more; readers of any columns get those of this one."""
    previous, latest = list(shipped_columns().added), MERGE_AT + 1
    with open_store(tmp_path) as store:
        for at in range(latest):
            store.append(rows(at, 1).drop(previous) if at % 2 else rows(at, 1), {0: at + 1})
        store.append(rows(latest, 1).with_columns(surface=pl.lit("home")), {0: latest + 1})
        store.append(rows(latest + 1, 3).drop(previous), {0: latest + 4})
        assert len(list(tmp_path.glob("*.parquet"))) > 1
        whole = read_segments(tmp_path)
        assert whole["request_previous"].to_list() == [[]] * (latest + 4)
        assert whole["propensity_exploration"].null_count() == latest // 2 + 3
        assert whole["surface"].to_list() == [None] * latest + ["home"] + [None] * 3
        for columns in (previous, previous[:1], ["request_request_id", *previous], ["request_event_time"]):
            assert read_segments(tmp_path, columns).equals(whole.select(columns))
            assert read_segments(tmp_path, columns).schema == rows(0, 1).select(columns).schema
        for at in range(latest + 4, 2 * MERGE_AT + 4):
            store.append(rows(at, 1).drop(previous), {0: at + 1})
        assert store.rows == read_segments(tmp_path).height == 2 * MERGE_AT + 4
    with open_store(tmp_path, reread=True) as store:
        assert store.rows == 2 * MERGE_AT + 4, "none of them is damaged"
    assert not (tmp_path / "damaged").exists()


APPENDED = range(5, 22)


def crash(directory: Path, death: Death) -> tuple[int | None, int]:
    """A process that has rows 0 to 7 stored and appends 5 to 21, which retires the first segment with 0 to 3."""
    with open_store(directory, retention=15) as store:
        store.append(rows(0, 4), {0: 4})
        store.append(rows(4, 4), {0: 8})
    return died(Append(directory, APPENDED, 22, retention=15), death)


def assert_goes_on(directory: Path, committed: bool | None) -> None:
    """A dead process leaves the old or the new state (`committed`; None: either), and appending continues."""
    with open_store(directory, retention=15) as store:
        offset = store.next_offsets[0]
        assert offset in ((8, 22) if committed is None else ((8, 22)[committed],))
        assert store.rows == read_segments(directory).height == (8 if offset == 8 else 18)
        store.append(rows(5, 17), {0: 22})  # what the log gives again from there, or a second copy
        assert read_segments(directory)["request_event_time"].sort().to_list() == list(range(4, 22))
        assert dict(store.next_offsets) == {0: 22}
    with open_store(directory, retention=15) as store:
        assert store.rows == 18
        named = {segment.name for segment in store._manifest.segments}
    assert {path.name for path in directory.iterdir()} == {*named, "manifest.json", "writer.lock"}


@pytest.mark.parametrize(("step", "committed"), [(1, False), (2, False), (3, True), (4, True)])
def test_kill_after_any_step(tmp_path: Path, step: int, committed: bool) -> None:
    assert crash(tmp_path, Death(step=step))[0] == -signal.SIGKILL
    assert_goes_on(tmp_path, committed)


def test_kill_before_any_operation_on_a_file(tmp_path: Path) -> None:
    _, operations = crash(tmp_path / "undisturbed", Death())
    assert operations >= 7, "segment: sync, rename, sync; manifest: write, rename, sync; deletion"
    for operation in range(1, operations + 1):
        directory = tmp_path / str(operation)
        assert crash(directory, Death(operation=operation))[0] == -signal.SIGKILL
        assert_goes_on(directory, None)


def many_small(directory: Path) -> None:
    """As many segments of one row as are merged with the next, in the order of the log: later times come first."""
    with open_store(directory) as store:
        for at in range(MERGE_AT):
            store.append(rows(MERGE_AT - 1 - at, 1), {0: at + 1})


def test_a_kill_while_segments_are_merged_loses_and_doubles_nothing(tmp_path: Path) -> None:
    many_small(tmp_path / "undisturbed")
    append = Append(tmp_path / "undisturbed", range(5, 12), 20, FOREVER)
    _, operations = died(append, Death())
    assert operations >= 6 + 2 * MERGE_AT, "each merged segment is read and deleted"
    for operation in range(operations - 6 - MERGE_AT, operations + 1, 2):  # before, the process opens the store
        directory = tmp_path / str(operation)
        many_small(directory)
        death = Death(operation=operation)
        assert died(replace(append, directory=directory), death)[0] == -signal.SIGKILL
        with open_store(directory) as store:
            assert (store.rows, store.next_offsets[0]) in ((MERGE_AT, MERGE_AT), (12, 20))
            store.append(rows(5, 7), {0: 20})
        with open_store(directory) as store:
            named = {segment.name for segment in store._manifest.segments}
        assert read_segments(directory)["request_event_time"].sort().to_list() == list(range(12))
        assert {path.name for path in directory.iterdir()} == {*named, "manifest.json", "writer.lock"}


def test_the_manifest_names_what_a_merged_segment_replaced_until_the_files_are_gone(tmp_path: Path) -> None:
    many_small(tmp_path)
    before = sorted(path.name for path in tmp_path.glob("*.parquet"))
    kept = tmp_path.parent / "kept"
    shutil.copytree(tmp_path, kept)
    with open_store(tmp_path) as store:
        store.append(rows(20, 1), {0: 9})
        [merged] = store._manifest.segments
        assert dict(store._manifest.replaced) == {merged.name: tuple(before)}
        for name in before[:2]:
            shutil.copy(kept / name, tmp_path / name)  # as a process leaves them that died in step 4
    with open_store(tmp_path) as store:
        assert [path.name for path in tmp_path.glob("*.parquet")] == [merged.name]
        store.append(rows(21, 1), {0: 10})
        assert dict(store._manifest.replaced) == {}


def test_merging_leaves_out_what_has_expired_and_the_log_says_how_much(tmp_path: Path) -> None:
    with open_store(tmp_path, retention=100) as store, capture_logs() as said:
        store.append(pl.concat([rows(0, 3), rows(50, 1)]), {0: 4})
        for at in range(1, MERGE_AT):
            store.append(rows(50 + at, 1), {0: 4 + at})
        store.append(rows(120, 1), {0: 12})
        times = read_segments(tmp_path)["request_event_time"].sort().to_list()
    assert times == [*range(50, 50 + MERGE_AT), 120]
    assert [(line["event"], line["examples"]) for line in said] == [
        ("examples older than learner.retention deleted", 3)
    ]
    assert said[0]["kept_from"].startswith("1970-01-01")


def test_an_example_that_comes_after_its_day_was_merged_is_stored_once_and_read(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        for at in range(MERGE_AT + 1):
            store.append(rows(10 * at, 2), {0: at + 1})
        assert len(store._manifest.segments) == 1
        late = rows(15, 1)
        assert store.append(pl.concat([late, late, rows(10, 1)]), {0: 20}) == AppendCounts(stored=1, duplicate=2)
        assert store.append(late, {0: 21}) == AppendCounts(duplicate=1)
    assert over_segments(tmp_path, heights, span=(12, 18)) == [2 * (MERGE_AT + 1), 1]
    assert 15 in read_segments(tmp_path)["request_event_time"].to_list()


@pytest.mark.parametrize("full", ["00000001.parquet.tmp", "manifest.json.tmp"])
def test_a_full_disk_ends_the_append_and_loses_nothing(tmp_path: Path, full: str) -> None:
    with open_store(tmp_path) as store:
        store.append(rows(0, 4), {0: 4})
        before = {path.name for path in tmp_path.iterdir()}
        (tmp_path / full).symlink_to("/dev/full")
        with pytest.raises(StoreUnwritable, match=r"cannot be written: .* bytes free on its disk\) \| fix: make room"):
            store.append(rows(2, 6), {0: 10})
        assert {path.name for path in tmp_path.iterdir()} == before, "what was begun gives its room back"
        assert dict(store.next_offsets) == {0: 4}
        assert store.append(rows(2, 6), {0: 10}) == AppendCounts(stored=4, duplicate=2)
    with open_store(tmp_path) as store:
        assert read_segments(tmp_path)["request_event_time"].to_list() == list(range(8))
        assert dict(store.next_offsets) == {0: 10}


def test_a_commit_whose_last_sync_is_refused_keeps_its_segment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_store(tmp_path) as store:
        store.append(rows(0, 4), {0: 4})
        answers = iter([None, OSError(5, "Input/output error")])

        def refuse_second(directory: Path) -> None:
            if (fault := next(answers)) is not None:
                raise fault

        monkeypatch.setattr("event_schemas.directory_sync.sync_directory", refuse_second)
        with pytest.raises(StoreUnwritable, match="Input/output error"):
            store.append(rows(4, 4), {0: 8})
        monkeypatch.undo()
        assert dict(store.next_offsets) == {0: 8}, "the new manifest is the one on disk"
        assert store.append(rows(4, 6), {0: 10}) == AppendCounts(stored=2, duplicate=4)
        assert read_segments(tmp_path).height == store.rows == 10


def test_the_hook_sees_the_steps_in_order(tmp_path: Path) -> None:
    steps: list[int] = []
    hook: Callable[[int], None] = steps.append
    with SegmentStore(tmp_path, "t", FOREVER, hook) as store:
        store.append(rows(0, 1), {0: 1})
    assert steps == [1, 2, 3, 4]
