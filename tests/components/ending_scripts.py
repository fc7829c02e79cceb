"""Scripts that log engagements and end without closing anything, each a forked child of one process.

`python -m tests.components.ending_scripts FOLDER SCRIPTS`, where SCRIPTS is a list of `EndingScript` as JSON. Each
leaves its counts, as they are when everything is over, in `FOLDER/<number>.json`. Fails when one ends with another
status than it should.
"""

from __future__ import annotations

import atexit
import json
import multiprocessing
import multiprocessing.process
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from tests.components.forking import SECONDS, ended

MODULE = "tests.components.ending_scripts"
Ending = Literal["end", "exit", "exception", "worker"]
STATUSES: dict[Ending, int] = {"end": 0, "exit": 3, "exception": 1, "worker": 0}


@dataclass(frozen=True)
class EndingScript:
    """What a script logs and how it ends; `worker` is a process of multiprocessing.

    `max_bytes` bounds its spool, None means none; `max_queued` bounds its queue. With `used_before` the parent has
    built everything, and logged an engagement of its own.
    """

    bootstrap: str
    engagements: int
    max_bytes: int | None
    max_queued: int
    ending: Ending
    used_before: bool = False
    topic: str = "events"


def command(folder: Path, scripts: list[EndingScript]) -> list[str]:
    """The command that runs the scripts."""
    return [sys.executable, "-m", MODULE, str(folder), json.dumps([asdict(script) for script in scripts])]


def run(folder: Path, scripts: list[EndingScript]) -> None:
    """Fork a child for each script, all at once, and wait for them."""
    started = [_started(script, folder / f"{number}") for number, script in enumerate(scripts)]
    statuses = [wait() for wait in started]
    assert statuses == [STATUSES[script.ending] for script in scripts], statuses


def _started(script: EndingScript, place: Path) -> Callable[[], int | None]:
    parts = None
    if script.used_before:
        parts = _built(script, place)
        parts[0].log("before", "repin", event_time=0)

    def work() -> None:
        _log(script, place, *(parts or _built(script, place)))

    if script.ending == "worker":
        worker = multiprocessing.get_context("fork").Process(target=work)
        worker.start()
        return partial(_status, worker)
    pid = os.fork()
    if pid == 0:
        work()
        sys.exit(0)
    return partial(ended, pid)


def _status(worker: multiprocessing.process.BaseProcess) -> int | None:
    worker.join(SECONDS)
    return worker.exitcode


def _built(script: EndingScript, place: Path) -> tuple[Any, Any]:
    from event_schemas.codec import Codec
    from event_schemas.registry import Registry
    from producers.delivery.delivery_spool import DeliverySpool
    from producers.delivery.kafka_delivery import KafkaDelivery
    from producers.loggers.engagement_logger import EngagementLogger

    spool = None if script.max_bytes is None else DeliverySpool(place / "spool", script.max_bytes)
    delivery = KafkaDelivery({"bootstrap.servers": script.bootstrap}, spool=spool)
    logger = EngagementLogger(Codec(Registry.bundled()), delivery, script.topic, max_queued=script.max_queued)
    return logger, delivery


def _log(script: EndingScript, place: Path, logger: Any, delivery: Any) -> None:
    def report() -> None:
        place.with_suffix(".json").write_text(json.dumps(asdict(delivery.counts())))

    if script.ending == "worker":
        from multiprocessing.util import Finalize

        Finalize(None, report, exitpriority=0)
    else:
        REPORTS.append(report)
    for number in range(script.engagements):
        logger.log(f"r{number}", "repin", event_time=number)
    if script.ending == "exit":
        sys.exit(3)
    if script.ending == "exception":
        raise RuntimeError("a script's end that nobody planned")


REPORTS: list[Callable[[], None]] = []


def _report() -> None:
    for report in REPORTS:
        report()


if __name__ == "__main__":
    # Before anything of Trimtab is imported: functions registered here run in the reverse order.
    atexit.register(_report)
    assert threading.active_count() == 1
    run(Path(sys.argv[1]), [EndingScript(**each) for each in json.loads(sys.argv[2])])
