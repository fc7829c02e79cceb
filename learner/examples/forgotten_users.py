"""Whom a person asked to forget, so that their rows do not come back, and how many of their decisions were counted.

One SQLite file beside the segments. Of a user it has the SHA-256 of topic and id, and until which request time (epoch
ms) rows are refused: somebody who comes back later is another matter. A decision that was removed or refused leaves its
key, hashed, with time, slice, arm and the digest of its exploration settings, but nothing that links it to a user: so a
log of which rows were forgotten still agrees with what producers counted, however often it is read again. It also says
which checkpoints learnt from forgotten rows (`forgotten_decisions`).
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

import numpy as np
import polars as pl

from event_schemas.units import DAY_MS
from event_schemas.user_ids import person
from learner.examples.durable_files import unwritable
from learner.examples.example_rule import EVENT_TIME, REQUEST_ID
from learner.examples.forgotten_decisions import ForgottenDecisions
from learner.examples.learner_errors import StoreDamaged
from learner.examples.row_settings import DIGEST
from learner.examples.slice_tallies import ArmDay, SpanDay
from learner.examples.stored_counts import SLICE, ForgottenCounts

FORGOTTEN_FILE = "forgotten.sqlite"
USER_ID = "request_user_id"
READ = (REQUEST_ID, EVENT_TIME, USER_ID, SLICE, "action_arm", DIGEST)
"""The columns of a row that are looked at."""
TABLES = """
CREATE TABLE IF NOT EXISTS users (digest TEXT PRIMARY KEY, until INTEGER NOT NULL, pending INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS decisions
    (number INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL UNIQUE, time INTEGER NOT NULL, slice TEXT NOT NULL,
     arm INTEGER NOT NULL, exploration TEXT, counted INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS list (id TEXT NOT NULL) STRICT;
INSERT INTO list SELECT lower(hex(randomblob(16))) WHERE NOT EXISTS (SELECT 1 FROM list);
"""
Content = TypeVar("Content")


class ForgottenUsers:
    """The file of one directory of segments; only the writer of the segments writes to it.

    Raises StoreDamaged if the file is not what was written, StoreUnwritable if the disk cannot be written.
    """

    def __init__(self, directory: Path, topic: str) -> None:
        self._path = directory / FORGOTTEN_FILE
        self._topic = topic
        users: list[tuple[str, int]] = _reading(
            self._path, lambda file: file.execute("SELECT digest, until FROM users").fetchall(), []
        )
        self._until: dict[str, int] = dict(users)

    @property
    def pending(self) -> bool:
        """Whether rows of a user may still be stored, because forgetting was interrupted."""
        return _reading(
            self._path, lambda file: bool(file.execute("SELECT 1 FROM users WHERE pending").fetchall()), False
        )

    def add(self, user: str, until: int) -> None:
        """Refuse the user's rows with request times up to `until` (epoch ms) from now on, durably."""
        digest = self._digest(user)
        with self._writing() as file:
            file.execute(
                "INSERT INTO users VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET until = max(until, ?), pending = 1",
                (digest, until, until),
            )
        self._until[digest] = max(until, self._until.get(digest, until))

    def mark_carried_out(self) -> None:
        """No stored row is left of any user."""
        with self._writing() as file:
            file.execute("UPDATE users SET pending = 0")

    def add_decisions(self, rows: pl.DataFrame, *, counted: bool = True) -> None:
        """Remember forgotten rows, durably, as decisions that are counted or not; one that is known changes nothing."""
        if rows.height == 0:
            return
        with self._writing() as file:
            file.executemany(
                "INSERT OR IGNORE INTO decisions (key, time, slice, arm, exploration, counted)"
                f" VALUES (?, ?, ?, ?, ?, {int(counted)})",
                _decisions(rows),
            )

    def expire(self, horizon: int) -> None:
        """Count no decisions of days before that of `horizon` (epoch ms) any more.

        They stay, because checkpoints that learnt from them may be continued for longer than rows are kept.
        """
        if self._path.exists():
            with self._writing() as file:
                file.execute("UPDATE decisions SET counted = 0 WHERE time < ?", (horizon // DAY_MS * DAY_MS,))

    def among(self, rows: pl.DataFrame) -> pl.Series:
        """For each of `rows` whether it is a forgotten user's (Boolean)."""
        if not self._until or USER_ID not in rows.columns:
            return pl.repeat(value=False, n=rows.height, dtype=pl.Boolean, eager=True)
        users = rows[USER_ID].unique().to_list()
        until = {user: found for user in users if user is not None and (found := self._until_of(user)) is not None}
        if not until:
            return pl.repeat(value=False, n=rows.height, dtype=pl.Boolean, eager=True)
        limit = pl.col(USER_ID).replace_strict(until, default=None, return_dtype=pl.Int64)
        return rows.select(forgotten=(pl.col(EVENT_TIME) <= limit).fill_null(value=False))["forgotten"]

    def _until_of(self, user: str) -> int | None:
        return None if person(user) is None else self._until.get(self._digest(user))

    def _digest(self, user: str) -> str:
        return sha256(f"{self._topic}\0{user}".encode()).hexdigest()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that is on the disk when it ends."""
        try:
            with closing(sqlite3.connect(self._path)) as file, file:
                file.execute("PRAGMA synchronous = EXTRA")
                file.executescript(f"BEGIN IMMEDIATE;{TABLES}COMMIT;")
                yield file
        except sqlite3.OperationalError as fault:
            raise unwritable(self._path, fault) from fault
        except sqlite3.DatabaseError as fault:
            raise _damaged(self._path, fault) from fault


def forgotten_counts(directory: Path) -> ForgottenCounts:
    """The counted decisions of forgotten rows, without locking the directory; raises StoreDamaged."""

    def counts(file: sqlite3.Connection) -> ForgottenCounts:
        arms = file.execute(
            f"SELECT time / {DAY_MS}, slice, arm, count(*) FROM decisions WHERE counted GROUP BY 1, 2, 3"
        )
        spans = file.execute(
            f"SELECT exploration, time / {DAY_MS}, count(*) FROM decisions"
            " WHERE counted AND slice = 'EXPLORE' AND exploration IS NOT NULL GROUP BY 1, 2"
        )
        return ForgottenCounts(
            {ArmDay(day, name, arm): count for day, name, arm, count in arms},
            {SpanDay(digest, day): count for digest, day, count in spans},
        )

    return _reading(directory / FORGOTTEN_FILE, counts, ForgottenCounts())


def forgotten_decisions(directory: Path) -> ForgottenDecisions:
    """The explored decisions of forgotten rows, without locking the directory; raises StoreDamaged."""

    def explored(file: sqlite3.Connection) -> ForgottenDecisions:
        [(name,)] = file.execute("SELECT id FROM list").fetchall()
        found = file.execute("SELECT number, time FROM decisions WHERE slice = 'EXPLORE' ORDER BY number").fetchall()
        last = file.execute("SELECT seq FROM sqlite_sequence WHERE name = 'decisions'").fetchone()
        numbers, times = np.array(found, dtype=np.int64).reshape(-1, 2).T
        return ForgottenDecisions(name, 0 if last is None else int(last[0]), numbers, times)

    return _reading(directory / FORGOTTEN_FILE, explored, ForgottenDecisions())


def _decisions(rows: pl.DataFrame) -> Iterator[tuple[bytes, int, str, int, str | None]]:
    for request_id, event_time, _, name, arm, exploration in rows.select(READ).iter_rows():
        key = sha256(f"{request_id}\0{event_time}".encode()).digest()[:16]
        yield key, event_time, name, arm, exploration


def _reading(path: Path, read: Callable[[sqlite3.Connection], Content], absent: Content) -> Content:
    """What `read` makes of the file; `absent` if there is none."""
    if not path.exists():
        return absent
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True)) as file:
            if not file.execute("SELECT 1 FROM sqlite_master").fetchall():
                return absent  # the disk was full, or the process was killed, before anything was written
            return read(file)
    except sqlite3.Error as fault:
        raise _damaged(path, fault) from fault


def _damaged(path: Path, fault: sqlite3.Error) -> StoreDamaged:
    return StoreDamaged(
        f"{path}, the list of forgotten users, is damaged: {fault}",
        fix="restore the file from a backup; or delete it and run `trimtab forget` again for each of the users",
    )
