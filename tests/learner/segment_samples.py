"""A directory of segments for tests of damage, and the ways to damage it."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl

from event_schemas.columnar import empty_frame
from event_schemas.records import EXAMPLE
from event_schemas.registry import Registry
from learner.examples.example_columns import portable, shipped_columns
from learner.examples.segment_file import file_hash
from learner.examples.segment_manifest import MANIFEST_NAME, SegmentManifest
from learner.examples.segment_store import SegmentStore

FOREVER = 10**15
TOPIC = "t"
SEGMENTS = 3
ROWS = 40
Damage = Callable[[Path, float], None]
NULLABLE = {
    "request_user_id",
    "request_session_id",
    "request_cohort",
    "action_shadow_arm",
    "action_experiment_arm",
    "action_fallback_reason",
    *shipped_columns().added,
}
"""Columns of a stored Example that may lack values: they may be null, or are of a newer version than some rows."""


def rows(first: int, count: int, mark: str = "") -> pl.DataFrame:
    """Examples with the request ids r<first> and following, one for each millisecond; `mark` is a column more."""
    ids = [f"r{i}" for i in range(first, first + count)]
    times = pl.int_range(first, first + count, eager=True)
    said = {"request_request_id": pl.Series(ids, dtype=pl.String), "request_event_time": times}
    values = {name: said.get(name, pl.repeat(value, count, dtype=kind, eager=True)) for name, kind, value in _columns()}
    return pl.DataFrame(values | {"mark": pl.repeat(mark, count, dtype=pl.String, eager=True)})


def of_user(user: str | None, frame: pl.DataFrame) -> pl.DataFrame:
    """The examples as those of one user."""
    return frame.with_columns(request_user_id=pl.lit(user, dtype=pl.String))


@cache
def _columns() -> list[tuple[str, pl.DataType, Any]]:
    """Name, type and some value of each column of an Example."""
    plain: dict[Any, Any] = {pl.String: "s", pl.Boolean: True, pl.Int32: 1, pl.Int64: 1, pl.Float64: 0.5}
    frame = portable(empty_frame(Registry.bundled().newest(EXAMPLE)))
    nested: dict[Any, Any] = {pl.List: [], pl.Struct: None}
    return [(name, kind, (plain | nested)[kind.base_type()]) for name, kind in frame.schema.items()]


def filled(directory: Path) -> list[Path]:
    """Three segments with 40 rows each, of one partition; their files."""
    with SegmentStore(directory, TOPIC, FOREVER) as store:
        store.adopt_topic("first")
        for number in range(SEGMENTS):
            store.append(rows(number * ROWS, ROWS), {0: (number + 1) * ROWS})
    return sorted(directory.glob("*.parquet"))


def as_version_0_1_0(directory: Path) -> None:
    """The manifest as version 0.1.0 would have left it: no hashes, no topic id."""
    path = directory / MANIFEST_NAME
    content = json.loads(path.read_bytes())
    for segment in content["segments"]:
        del segment["sha256"]
    del content["sha256"], content["topic_id"]
    path.write_text(json.dumps({**content, "format": 1}, indent=1))


def adopted(directory: Path) -> None:
    """The manifest as a build would have left it that hashed the files as they are now, whatever they hold."""
    manifest = SegmentManifest.load(directory)
    assert manifest is not None
    paths = {segment.name: directory / segment.name for segment in manifest.segments}
    hashes = {name: file_hash(path) for name, path in paths.items() if path.exists()}
    segments = (replace(s, sha256=hashes.get(s.name, s.sha256)) for s in manifest.segments)
    replace(manifest, segments=tuple(segments)).save(directory)


def truncate(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])


def zero(path: Path, share: float) -> None:
    content = path.read_bytes()
    start = int(share * len(content))
    path.write_bytes(content[:start] + b"\0" * (len(content) - start))


def blot(path: Path, share: float) -> None:
    """A stretch of zeros in the pages: the columns elsewhere stay readable, often those of the key among them."""
    content = path.read_bytes()
    start, end = 4, int.from_bytes(content[-8:-4], "little")
    length = min(300, (len(content) - 8 - end - start) // 3)
    start += int(share * (len(content) - 8 - end - start - length))
    path.write_bytes(content[:start] + b"\0" * length + content[start + length :])


def flip(path: Path, share: float) -> None:
    content = bytearray(path.read_bytes())
    content[int(share * len(content))] ^= 0x10
    path.write_bytes(content)


def append(path: Path, share: float) -> None:
    path.write_bytes(path.read_bytes() + b"PAR1" * (1 + int(share * 3)))


def cut_rows(path: Path, share: float) -> None:
    """A sound file, with fewer rows."""
    frame = pl.read_parquet(path)
    frame.head(int(share * frame.height)).write_parquet(path)


def other_rows(path: Path, share: float) -> None:
    """A sound file with as many rows, one of them another."""
    frame = pl.read_parquet(path)
    at = int(share * frame.height)
    frame.with_columns(mark=pl.when(pl.int_range(pl.len()) == at).then(pl.lit("x")).otherwise("mark")).write_parquet(
        path
    )


def lack_column(path: Path, share: float) -> None:
    """A sound file with as many rows, and a column less."""
    frame = pl.read_parquet(path)
    names = [name for name, _, _ in _columns()]
    frame.drop(names[int(share * len(names))]).write_parquet(path)


def lack_values(path: Path, share: float) -> None:
    """A sound file with as many rows, and a column without its values."""
    frame = pl.read_parquet(path)
    names = [name for name, _, value in _columns() if value is not None and name not in NULLABLE]
    frame.with_columns(pl.lit(None, frame.schema[name := names[int(share * len(names))]]).alias(name)).write_parquet(
        path
    )


def retype(path: Path, share: float) -> None:
    """A sound file with as many rows, and numbers where texts were, or texts where numbers were."""
    frame = pl.read_parquet(path)
    names = [name for name, _, value in _columns() if isinstance(value, str | int | float)]
    name = names[int(share * len(names))]
    kind = pl.Int16 if frame.schema[name] == pl.String else pl.String
    frame.with_columns(pl.lit(1).cast(kind).alias(name)).write_parquet(path)


def swap(path: Path, share: float) -> None:
    """Another sound segment of the directory in its place; where none is left, itself under another name."""
    others = [other for other in sorted(path.parent.glob("*.parquet")) if other != path]
    if not others:
        path.rename(path.with_name("00000099.parquet"))
        return
    other = others[int(share * len(others))]
    beside = path.with_name("beside")
    shutil.move(path, beside)
    shutil.move(other, path)
    shutil.move(beside, other)


def remove(path: Path, share: float) -> None:
    path.unlink()


DAMAGES: dict[str, Damage] = {
    damage.__name__: damage
    for damage in (
        truncate,
        zero,
        blot,
        flip,
        append,
        cut_rows,
        other_rows,
        lack_column,
        lack_values,
        retype,
        swap,
        remove,
    )
}
