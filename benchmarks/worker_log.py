"""Observes a join worker from outside: its log lines and its group's commits."""

from __future__ import annotations

import os
import re
import time
from datetime import datetime
from pathlib import Path

from benchmarks.input_log import InputLog
from stream_processors.audit import LogReader

ROOT = Path(__file__).parents[1]
POLL_SECONDS = 0.3
TAKEN = re.compile(r"timestamp=(\S+) .*partition taken")


def worker_environment(log: InputLog, experiment: Path, state: Path) -> dict[str, str]:
    """The environment of a peer or worker: this tree's modules, and no `TRIMTAB_*` variables but the input's."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TRIMTAB_")}
    return {
        **inherited,
        "PYTHONPATH": str(ROOT),
        "TRIMTAB_KAFKA_BOOTSTRAP": log.bootstrap,
        "TRIMTAB_TOPIC_PREFIX": log.prefix,
        "TRIMTAB_EXPERIMENT": str(experiment),
        "TRIMTAB_DATA_DIR": str(state),
    }


def settled_offsets(log: InputLog) -> dict[int, int]:
    """The offset up to which each partition is processed according to the group's commits."""
    positions = LogReader(log.client_config, log.events_topic).committed(log.group)
    return {partition: position.settled for partition, position in positions.items()}


def wait_until_settled(log: InputLog, seconds: float = 30.0) -> bool:
    """Wait until the join's group has committed all events as processed; False after `seconds`."""
    reader, deadline = LogReader(log.client_config, log.events_topic), time.monotonic() + seconds
    ends = {partition: span.end for partition, span in reader.ranges().items()}
    while time.monotonic() < deadline:
        settled = settled_offsets(log)
        if all(settled.get(partition, 0) == end for partition, end in ends.items()):
            return True
        time.sleep(POLL_SECONDS)
    return False


def first_taken(text: str) -> float | None:
    """The time of the first `partition taken` in a join worker's log."""
    found = TAKEN.search(text)
    return None if found is None else datetime.fromisoformat(found[1]).timestamp()
