"""The peers: how each is started, and which rows belong to the same system."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.input_log import PARTITIONS
from benchmarks.kafka_broker import java_executable
from event_schemas.errors import SettingError, TrimtabError

ROOT = Path(__file__).parents[1]
BUILT = ROOT / "build" / "peers"
"""What `make bench-peers` builds: a virtual environment and the jars."""
FLINK_OPENS = ("lang", "util", "util.concurrent")

ALL = min(len(os.sched_getaffinity(0)), PARTITIONS)
"""Workers or threads of peers that can use all cores: one per core, but no more than there are partitions."""

OURS = TRIMTAB, TRIMTAB_ONE = "trimtab", "trimtab_one_worker"
RAW_CONSUME, DECODE_ONLY, PYTHON_JOIN = "raw_consume", "decode_only", "python_join"
KAFKA_STREAMS, KAFKA_STREAMS_ONE = "kafka_streams", "kafka_streams_one_thread"
KAFKA_STREAMS_ROCKSDB = "kafka_streams_rocksdb"
FLINK, FLINK_ONE = "flink", "flink_one_thread"
BYTEWAX, QUIX, FAUST = "bytewax", "quix", "faust"
VARIANTS = {KAFKA_STREAMS: (KAFKA_STREAMS, KAFKA_STREAMS_ONE, KAFKA_STREAMS_ROCKSDB), FLINK: (FLINK, FLINK_ONE)}
"""The rows of each system; the fastest one counts."""


class PeerMissing(TrimtabError):
    """A peer is not built on this machine."""


@dataclass(frozen=True, slots=True)
class Peer:
    """One system that does the join. `variant` and `threads` are passed to it; `most_requests` limits slow systems."""

    name: str
    command: tuple[str, ...]
    needs: Path | None = None
    variant: str = ""
    threads: int = 1
    writes_examples: bool = True
    most_requests: int | None = None

    @property
    def ours(self) -> bool:
        """Whether it is `trimtab join` itself, which writes to its own topics and commits."""
        return self.name in OURS

    def check(self) -> None:
        """Raise PeerMissing if the peer has not been built."""
        if self.needs is not None and not self.needs.exists():
            raise PeerMissing(f"peer {self.name} is not built: no {self.needs.name}", fix="run `make bench-peers`")


def _python(module: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", f"benchmarks.peers.{module}", *arguments)


def _own_python(module: str, *prefix: str) -> tuple[str, ...]:
    return (str(BUILT / "venv" / "bin" / "python"), "-m", *prefix, f"benchmarks.peers.{module}")


def _java(module: str, heap: str, *flags: str) -> tuple[str, ...]:
    options = ("-Xms256m", f"-Xmx{heap}", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", *flags)
    return (java_executable(), *options, "-cp", f"{BUILT / module / 'lib'}/*", f"trimtab.peers.{module}.Main")


def peer_table() -> dict[str, Peer]:
    """Every peer by name, in the order of the report."""
    opens = tuple(f"--add-opens=java.base/java.{package}=ALL-UNNAMED" for package in FLINK_OPENS)
    venv = BUILT / "venv"
    streams, flink = _java(KAFKA_STREAMS, "1g"), _java(FLINK, "2g", *opens)
    peers = (
        Peer(TRIMTAB, (sys.executable, "-m", "trimtab", "join", "--workers", str(ALL)), threads=ALL),
        Peer(TRIMTAB_ONE, (sys.executable, "-m", "trimtab", "join")),
        Peer(RAW_CONSUME, _python("raw_consume"), writes_examples=False),
        Peer(DECODE_ONLY, _python("raw_consume"), variant="decode", writes_examples=False),
        Peer(PYTHON_JOIN, _python("dict_join")),
        Peer(KAFKA_STREAMS, streams, BUILT / KAFKA_STREAMS, "memory", ALL),
        Peer(KAFKA_STREAMS_ONE, streams, BUILT / KAFKA_STREAMS, "memory"),
        Peer(KAFKA_STREAMS_ROCKSDB, streams, BUILT / KAFKA_STREAMS, "rocksdb", ALL),
        Peer(FLINK, flink, BUILT / FLINK, threads=ALL),
        Peer(FLINK_ONE, flink, BUILT / FLINK),
        Peer(BYTEWAX, _own_python("bytewax_join", "bytewax.run"), venv),
        Peer(QUIX, _own_python("quix_join"), venv, most_requests=30_000),
        Peer(FAUST, _python("faust_tables", "worker", "-l", "warn", "--without-web"), most_requests=10_000),
    )
    return {peer.name: peer for peer in peers}


def build_missing(peers: Sequence[Peer]) -> None:
    """Run `make bench-peers` if one of these peers is not built; raises PeerMissing if that fails."""
    if any(peer.needs is not None and not peer.needs.exists() for peer in peers):
        subprocess.run(["make", "bench-peers"], cwd=ROOT, stdout=sys.stderr, check=False)
    for peer in peers:
        peer.check()


DEFAULT = (TRIMTAB, TRIMTAB_ONE, RAW_CONSUME, DECODE_ONLY, PYTHON_JOIN, KAFKA_STREAMS, KAFKA_STREAMS_ONE)


def chosen_peers(wanted: str, with_flink: bool) -> tuple[Peer, ...]:
    """The peers of a comma-separated list, `default` or `all`; always includes ours. Raises SettingError."""
    table = peer_table()
    named: Sequence[str]
    match wanted:
        case "default":
            named = DEFAULT
        case "all":
            named = [name for name in table if name not in VARIANTS[FLINK]]
        case _:
            named = [TRIMTAB, *(name.strip() for name in wanted.split(",") if name.strip())]
    unknown = set(named) - table.keys()
    if unknown:
        raise SettingError(f"no such peer: {', '.join(sorted(unknown))}", fix=f"choose from {', '.join(table)}")
    return tuple(peer for name, peer in table.items() if name in named or (name in VARIANTS[FLINK] and with_flink))
