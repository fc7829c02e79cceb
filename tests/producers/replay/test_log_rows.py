"""Logs as people keep them: three formats, many ways to write a time, lines that are broken."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.replay.column_mapping import ColumnMapping, load_mapping
from producers.replay.log_rows import LogFileError, LogRow, epoch_millis, read_rows
from tests.learner.segment_samples import Damage, append, flip, truncate, zero
from tests.producers.replay_samples import MAPPING, START, row, write_log


@pytest.fixture
def mapping(tmp_path: Path) -> ColumnMapping:
    path = tmp_path / "mapping.toml"
    path.write_text(MAPPING, encoding="utf-8")
    return load_mapping(path)


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        ("2019-11-24 00:00:34.762830+00:00", "ms", 1_574_553_634_762),
        ("2019-11-24T00:00:34Z", "ms", 1_574_553_634_000),
        ("2019-11-24T09:00:34+09:00", "ms", 1_574_553_634_000),
        ("2019-11-24", "ms", 1_574_553_600_000),
        (datetime(2019, 11, 24, tzinfo=UTC), "ms", 1_574_553_600_000),
        (datetime(2019, 11, 24), "ms", 1_574_553_600_000),
        (1_574_553_634, "s", 1_574_553_634_000),
        (1_574_553_634.7629, "s", 1_574_553_634_762),
        (1_574_553_634_762, "ms", 1_574_553_634_762),
        ("1574553634762999", "us", 1_574_553_634_762),
        ("1574553634.5", "s", 1_574_553_634_500),
        ("yesterday", "ms", None),
        ("9" * 5_000, "ms", None),
        ("", "ms", None),
        (None, "ms", None),
        (True, "ms", None),
        (float("nan"), "s", None),
    ],
)
def test_times(value: Any, unit: str, expected: int | None) -> None:
    assert epoch_millis(value, unit) == expected


ROWS = [row(when=START + 2_000, user="late"), row(when=START, user="early"), row(when=START, user="early too")]


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl", "ndjson"])
def test_rows_come_in_event_time_order_with_their_place(tmp_path: Path, mapping: ColumnMapping, ending: str) -> None:
    path = tmp_path / f"shop.{ending}"
    if ending == "parquet":
        pl.DataFrame(ROWS).write_parquet(path)
    elif ending == "csv":
        pl.DataFrame(ROWS).write_csv(path)
    else:
        write_log(path, ROWS)
    rows = read_rows(path, mapping)
    found = list(rows)
    assert (rows.file, rows.total) == ("shop", 3)
    assert [(r.number, r.event_time, r.values["user"]) for r in found] == [
        (1, START, "early"),
        (2, START, "early too"),
        (0, START + 2_000, "late"),
    ]
    assert found == list(rows), "iterable twice"
    assert set(found[0].values) == set(mapping.columns())


def test_the_limit_takes_the_earliest_rows(tmp_path: Path, mapping: ColumnMapping) -> None:
    rows = read_rows(write_log(tmp_path / "shop.jsonl", ROWS), mapping, limit=1)
    assert (rows.total, [r.number for r in rows]) == (1, [1])


def test_rows_without_a_time_come_first(tmp_path: Path, mapping: ColumnMapping) -> None:
    for ending in ("parquet", "jsonl"):
        path = tmp_path / f"shop.{ending}"
        timeless = [row(), row(when=None)]
        if ending == "parquet":
            pl.DataFrame(timeless).write_parquet(path)
        else:
            write_log(path, timeless)
        assert [(r.number, r.event_time) for r in read_rows(path, mapping)] == [(1, None), (0, START)]


def test_broken_lines_spoil_themselves_only(tmp_path: Path, mapping: ColumnMapping) -> None:
    path = write_log(tmp_path / "shop.jsonl", [row()])
    path.write_text('{"when": \n' + path.read_text() + "[1, 2]\n\n", encoding="utf-8")
    broken, array, good = read_rows(path, mapping)
    assert (broken.number, broken.values) == (0, {"line": '{"when": '})
    assert broken.fault is not None
    assert broken.fault.startswith("line is not JSON")
    assert array == LogRow(2, None, {"line": "[1, 2]"}, "line is not a JSON object")
    assert (good.number, good.fault) == (1, None)


def test_a_ragged_csv_line_spoils_itself_only(tmp_path: Path, mapping: ColumnMapping) -> None:
    path = tmp_path / "shop.csv"
    path.write_text(f"when,user,surface,hour,item,p,clicks,clicked_at\n{START},u1,home\n{START},u2,home,,b,0.5,0,\n")
    ragged, good = read_rows(path, mapping)
    assert ragged.fault == "line has 3 cells, the header has 8"
    assert (good.fault, good.values["hour"]) == (None, None)


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_a_missing_column_is_an_error_before_anything_else(tmp_path: Path, mapping: ColumnMapping, ending: str) -> None:
    path = tmp_path / f"shop.{ending}"
    frame = pl.DataFrame(ROWS).drop("p", "item")
    if ending == "parquet":
        frame.write_parquet(path)
    elif ending == "csv":
        frame.write_csv(path)
    else:
        frame.write_ndjson(path)
    with pytest.raises(LogFileError, match="column item, p is missing") as caught:
        read_rows(path, mapping)
    assert str(path) in caught.value.what


@pytest.mark.parametrize("name", ["nothing.parquet", "nothing.csv", "nothing.jsonl", "shop.xlsx"])
def test_files_that_cannot_be_read(tmp_path: Path, mapping: ColumnMapping, name: str) -> None:
    with pytest.raises(LogFileError) as caught:
        read_rows(tmp_path / name, mapping)
    assert name in caught.value.what


def test_bytes_that_are_no_parquet(tmp_path: Path, mapping: ColumnMapping) -> None:
    path = tmp_path / "shop.parquet"
    path.write_bytes(b"hello")
    with pytest.raises(LogFileError, match="cannot be read"):
        read_rows(path, mapping)


@given(damage=st.sampled_from([truncate, zero, flip, append]), share=st.floats(0, 1, exclude_max=True))
def test_a_damaged_parquet_file_is_an_error_or_rows(
    tmp_path_factory: pytest.TempPathFactory, damage: Damage, share: float
) -> None:
    directory = tmp_path_factory.mktemp("damaged")
    (directory / "mapping.toml").write_text(MAPPING, encoding="utf-8")
    path = directory / "shop.parquet"
    pl.DataFrame(ROWS).write_parquet(path)
    damage(path, share)
    try:
        read = list(read_rows(path, load_mapping(directory / "mapping.toml")))
    except LogFileError as fault:
        assert str(path) in fault.what
    else:
        assert len(read) <= len(ROWS)
