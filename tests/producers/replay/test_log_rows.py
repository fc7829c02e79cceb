"""Logs as people keep them: three formats, many ways to write a time, lines that are broken."""

from __future__ import annotations

import codecs
import gzip
import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from event_schemas.units import DAY_MS
from producers.replay.column_mapping import ColumnMapping, load_mapping
from producers.replay.log_rows import LogRow, read_rows
from producers.replay.log_times import LogFileError
from tests.learner.segment_samples import Damage, append, flip, truncate, zero
from tests.producers.replay_samples import MAPPING, START, row, write_log


@pytest.fixture
def mapping(tmp_path: Path) -> ColumnMapping:
    path = tmp_path / "mapping.toml"
    path.write_text(MAPPING, encoding="utf-8")
    return load_mapping(path)


ROWS = [row(when=START + 2_000, user="late"), row(when=START, user="early"), row(when=START, user="early too")]


@pytest.mark.parametrize("ending", ["parquet", "csv", "csv with a mark", "jsonl", "jsonl with a mark", "ndjson"])
def test_rows_come_in_event_time_order_with_their_place(tmp_path: Path, mapping: ColumnMapping, ending: str) -> None:
    ending, _, marked = ending.partition(" ")
    path = tmp_path / f"shop.{ending}"
    if ending == "parquet":
        pl.DataFrame(ROWS).write_parquet(path)
    elif ending == "csv":
        pl.DataFrame(ROWS).write_csv(path)
    else:
        write_log(path, ROWS)
    if marked:
        path.write_bytes(codecs.BOM_UTF8 + path.read_bytes())
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


def written(frame: pl.DataFrame, path: Path) -> None:
    match path.suffix:
        case ".parquet":
            frame.write_parquet(path)
        case ".csv":
            frame.write_csv(path)
        case _:
            frame.write_ndjson(path)


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_a_file_in_another_unit_is_refused_whole(tmp_path: Path, mapping: ColumnMapping, ending: str) -> None:
    path = tmp_path / f"shop.{ending}"
    wrong = pl.DataFrame([row(when=START // 1_000 + n) for n in range(3)])
    late = pl.DataFrame([row(clicks=int(n > 0), clicked_at=START // 1_000 + n) for n in range(3)])
    for frame, column, number in ((wrong, "when", 0), (late, "clicked_at", 1)):
        written(frame, path)
        with pytest.raises(LogFileError, match=rf"^{path}: row {number}: {column} = .* it looks like seconds") as fault:
            read_rows(path, mapping)
        assert fault.value.fix == 'write milliseconds, or set time_unit = "s"'


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_an_odd_row_has_a_fault_of_its_own(tmp_path: Path, mapping: ColumnMapping, ending: str) -> None:
    path = tmp_path / f"shop.{ending}"
    values = [row(when=START + n) for n in range(20)]
    values[7]["when"], values[11]["when"], values[15]["when"] = START + 400 * DAY_MS, 0, None
    written(pl.DataFrame(values), path)
    with capture_logs() as said:
        found = {each.number: each.time_fault for each in read_rows(path, mapping) if each.time_fault is not None}
    assert set(found) == {7, 11, 15}
    assert "is 2020-12-28, 399 days after the end of the rest of the log, 2019-11-24 | fix: correct" in found[7]
    assert "is 1970-01-01, outside the years" in found[11]
    assert "when = None is not a time" in found[15]
    assert [(each["event"], each["rows"]) for each in said] == [
        ("rows with times that cannot be right become dead letters", 2)
    ]


def test_broken_lines_spoil_themselves_only(tmp_path: Path, mapping: ColumnMapping) -> None:
    path = write_log(tmp_path / "shop.jsonl", [row()])
    path.write_text('{"when": \n' + path.read_text() + "[1, 2]\n\n", encoding="utf-8")
    broken, array, good = read_rows(path, mapping)
    assert (broken.number, broken.values) == (0, {"line": '{"when": '})
    assert broken.fault == "line 1 is not JSON: it ends after 8 characters, before the JSON is complete"
    assert array == LogRow(2, None, {"line": "[1, 2]"}, "line 3 is JSON, but not an object")
    assert (good.number, good.fault) == (1, None)


@given(
    blanks=st.lists(st.integers(0, 3), min_size=2, max_size=6),
    broken=st.sampled_from(['{"when": 1,}', "{'when': 1}", "nothing", '"', '{"a": ' + "[" * 100_000, "9" * 5_000]),
)
def test_a_broken_line_is_named_by_its_place_in_the_file(
    tmp_path_factory: pytest.TempPathFactory, blanks: list[int], broken: str
) -> None:
    directory = tmp_path_factory.mktemp("broken")
    (directory / "mapping.toml").write_text(MAPPING, encoding="utf-8")
    mapping, path = load_mapping(directory / "mapping.toml"), directory / "shop.jsonl"
    lines = [json.dumps(row())]
    for count in blanks:
        lines += [""] * count + [broken]
    path.write_text("\n".join(lines), encoding="utf-8")
    wrong = [line for line, text in enumerate(lines, 1) if text == broken]
    told = [each.fault for each in read_rows(path, mapping) if each.fault is not None]
    assert [text[: text.index(" is not JSON: ")] for text in told] == [f"line {number}" for number in wrong]
    assert all(len(text) < 120 and "column" not in text for text in told)
    path.write_text("\n".join(lines[1:]), encoding="utf-8")
    with pytest.raises(LogFileError, match=rf"shop.jsonl: no line is a JSON object; line {wrong[0] - 1} is not JSON"):
        read_rows(path, mapping)


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_the_line_that_is_not_utf8_is_named(tmp_path: Path, mapping: ColumnMapping, ending: str) -> None:
    path = tmp_path / f"shop.{ending}"
    path.write_bytes(b"when,user\n" * 3 + b"a,\xff\n")
    with pytest.raises(LogFileError, match=rf"shop.{ending}: line 4 is not UTF-8, from its byte 3 on") as caught:
        read_rows(path, mapping)
    assert caught.value.fix == "save the file as UTF-8"


def test_a_line_that_is_no_csv_is_named(tmp_path: Path, mapping: ColumnMapping) -> None:
    path = tmp_path / "shop.csv"
    path.write_text(f"when,user\n1,u\n2,{'x' * 200_000}\n")
    with pytest.raises(LogFileError, match=r"shop.csv: line 3 is not CSV: field larger than field limit"):
        read_rows(path, mapping)


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_an_empty_file_is_called_that(tmp_path: Path, mapping: ColumnMapping, ending: str) -> None:
    (path := tmp_path / f"shop.{ending}").touch()
    with pytest.raises(LogFileError, match=f"shop.{ending}: is empty"):
        read_rows(path, mapping)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "jsonl.gz"])
@pytest.mark.parametrize(
    ("form", "start"),
    [("gzip", gzip.compress(b"{}", mtime=0)), ("zstd", b"\x28\xb5\x2f\xfd\x04"), ("zip", b"PK\x03\x04")],
)
def test_a_compressed_file_is_called_that(
    tmp_path: Path, mapping: ColumnMapping, ending: str, form: str, start: bytes
) -> None:
    (path := tmp_path / f"shop.{ending}").write_bytes(start)
    with pytest.raises(LogFileError, match=rf"shop.{ending}: is compressed \({form}\) \| fix: unpack it"):
        read_rows(path, mapping)


@given(st.lists(st.sampled_from(["", " ", "row", "short,row"]), max_size=8))
def test_a_blank_line_is_no_row_in_any_format(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    directory = tmp_path_factory.mktemp("blank")
    (directory / "mapping.toml").write_text(MAPPING, encoding="utf-8")
    mapping, texts = load_mapping(directory / "mapping.toml"), dict.fromkeys(("csv", "jsonl"), "")
    values = row()
    for line in lines:
        texts["csv"] += (",".join(map(str, values.values())) if line == "row" else line) + "\n"
        texts["jsonl"] += (json.dumps(values) if line == "row" else line) + "\n"
    good, bad = lines.count("row"), lines.count("short,row")
    for ending, head in (("csv", ",".join(values) + "\n"), ("jsonl", json.dumps(values) + "\n")):
        (path := directory / f"shop.{ending}").write_text(head + texts[ending], encoding="utf-8")
        faults = [each.fault is None for each in read_rows(path, mapping)]
        assert (faults.count(True), faults.count(False)) == (good + (ending == "jsonl"), bad)


def test_a_blank_line_moves_no_row_below_it(tmp_path: Path, mapping: ColumnMapping) -> None:
    """Its number is in its request ids: a log that was replayed before gives the same events again."""
    path = tmp_path / "shop.csv"
    line = ",".join("" if value is None else str(value) for value in row().values())
    path.write_text(f"{','.join(row())}\n{line}\n\n{line}\n\n", encoding="utf-8")
    assert [each.number for each in read_rows(path, mapping)] == [0, 2]


def test_a_ragged_csv_line_spoils_itself_only(tmp_path: Path, mapping: ColumnMapping) -> None:
    path = tmp_path / "shop.csv"
    path.write_text(f"when,user,surface,hour,item,p,clicks,clicked_at\n{START},u1,home\n{START},u2,home,,b,0.5,0,\n")
    ragged, good = read_rows(path, mapping)
    assert ragged.fault == "line 2 has 3 cells, the header has 8"
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
