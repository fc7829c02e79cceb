"""A directory of segments for tests of damage, and the ways to damage it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl

from learner.segment_manifest import MANIFEST_NAME
from learner.segment_store import SegmentStore

FOREVER = 10**15
TOPIC = "t"
SEGMENTS = 3
ROWS = 40
Damage = Callable[[Path, float], None]


def rows(first: int, count: int, mark: str = "") -> pl.DataFrame:
    """Rows with the request ids r<first> and following, one for each millisecond."""
    ids = [f"r{i}" for i in range(first, first + count)]
    times = range(first, first + count)
    return pl.DataFrame({"request_request_id": ids, "request_event_time": times, "mark": [mark] * count})


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


def truncate(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])


def zero(path: Path, share: float) -> None:
    content = path.read_bytes()
    start = int(share * len(content))
    path.write_bytes(content[:start] + b"\0" * (len(content) - start))


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
    damage.__name__: damage for damage in (truncate, zero, flip, append, cut_rows, other_rows, swap, remove)
}
