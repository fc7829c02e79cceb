"""Runs the learner's ingest in a separate process that can be told to die at a given step.

`python -m tests.components.ingest_process ORDER`, where ORDER is an `IngestOrder` as JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from event_schemas.codec import Codec
from event_schemas.errors import TrimtabError
from event_schemas.experiment import Experiment
from event_schemas.registry import Registry
from learner.examples import ingest
from learner.examples.example_decoder import ExampleDecoder
from learner.examples.example_source import KafkaExampleSource
from learner.examples.ingest import DeadLetters, Ingest
from learner.examples.segment_store import SegmentStore
from producers.delivery.memory_log import MemoryLog

MODULE = "tests.components.ingest_process"
FOREVER_MS = 10**15
POLL_SECONDS = 0.3


@dataclass(frozen=True)
class IngestOrder:
    """What to read, where to keep it, and where to die.

    The process kills itself after step `fatal_step` (1 to 4; 0: never) of its second commit, so that each life stores
    something. It ends when it has ingested everything in the log, or, with `follow`, on SIGTERM.
    """

    bootstrap: str
    topic: str
    directory: str
    experiment: Mapping[str, Any]
    fatal_step: int = 0
    follow: bool = False
    chunk: int = 400

    def command(self) -> list[str]:
        """The command line of the process."""
        return [sys.executable, "-m", MODULE, json.dumps(asdict(self))]


def run(order: IngestOrder) -> None:
    """Ingest as ordered."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    ingest.CHUNK = order.chunk
    codec, experiment = Codec(Registry.bundled()), Experiment.model_validate(order.experiment)
    with (
        SegmentStore(Path(order.directory), order.topic, FOREVER_MS, _Killer(order.fatal_step)) as store,
        closing(KafkaExampleSource({"bootstrap.servers": order.bootstrap}, order.topic)) as source,
    ):
        letters = DeadLetters(codec, MemoryLog(), "dead-letters")
        job = Ingest(source, ExampleDecoder(codec, experiment.action_space), store, letters)
        job.start()
        for _ in job.to_end():
            pass
        while order.follow and not stop.is_set():
            job.round(POLL_SECONDS)
            time.sleep(POLL_SECONDS)


class _Killer:
    """Counts the commits and dies in the second."""

    def __init__(self, fatal_step: int) -> None:
        self._fatal_step = fatal_step
        self._commits = 0

    def __call__(self, step: int) -> None:
        if self._commits >= 1 and step == self._fatal_step:
            os.kill(os.getpid(), signal.SIGKILL)
        self._commits += step == 4


if __name__ == "__main__":
    try:
        run(IngestOrder(**json.loads(sys.argv[1])))
    except TrimtabError as fault:
        sys.exit(f"error: {fault.what}\nfix: {fault.fix}")
