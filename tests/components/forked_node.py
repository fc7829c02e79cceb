"""A serving node that is built and started before its process forks, and used by parent and children.

`python -m tests.components.forked_node ORDER`, where ORDER is a `ForkOrder` as JSON. Each process leaves what it saw in
`<reports>/<name>.json`: its first decision after the fork, whether a kill reached it, and its counts when all is
over; the parent also how its children ended.
"""

from __future__ import annotations

import atexit
import json
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.components.forking import ended

if TYPE_CHECKING:
    from producers.delivery.kafka_delivery import KafkaDelivery
    from serving_agent.node import ServingNode

MODULE = "tests.components.forked_node"
WAIT_SECONDS = 60.0


@dataclass(frozen=True)
class ForkOrder:
    """Where the node's surroundings are, how many children use it, and what each logs."""

    bootstrap: str
    prefix: str
    redis_url: str
    folder: str
    trusted: str
    decisions: int = 20

    def command(self) -> list[str]:
        """The command line of the parent."""
        return [sys.executable, "-m", MODULE, json.dumps(asdict(self))]

    @property
    def kill_file(self) -> Path:
        """The node's kill file; a process that finds it reports that and ends."""
        return Path(self.folder) / "kill"

    def report(self, name: str) -> dict[str, Any] | None:
        """The last report of the process with that name."""
        file = Path(self.folder) / f"{name}.json"
        return json.loads(file.read_text()) if file.exists() else None


class Reporter:
    """One process's report; the whole file is rewritten each time something is added."""

    def __init__(self, order: ForkOrder, name: str) -> None:
        self._file = Path(order.folder) / f"{name}.json"
        self._told: dict[str, Any] = {"pid": os.getpid()}

    def tell(self, **facts: Any) -> None:
        self._told |= facts
        draft = self._file.with_suffix(".draft")
        draft.write_text(json.dumps(self._told))
        draft.replace(self._file)


def run(order: ForkOrder) -> None:
    """Start the node, fork while a thread of the parent decides, and wait for the children."""
    node, delivery = started_node(order)
    log_decisions(node, "before", order.decisions)
    stop, numbers = threading.Event(), iter(range(10**9))

    def decide() -> None:
        while not stop.wait(0.001):  # no faster than events can be encoded and sent
            log_decisions(node, f"busy-{next(numbers)}", 1)

    busy = threading.Thread(target=decide)
    busy.start()
    pids = {name: forked(partial(use, order, node, delivery, name)) for name in ("exits", "raises")}
    pids["idle"] = forked(lambda: None)
    worker = multiprocessing.get_context("fork").Process(target=use, args=(order, node, delivery, "worker"))
    worker.start()
    await_condition(order.kill_file.exists)
    statuses: dict[str, int | None] = {name: ended(pid, WAIT_SECONDS) for name, pid in pids.items()}
    worker.join(WAIT_SECONDS)
    statuses["worker"] = worker.exitcode
    stop.set()
    busy.join()
    log_decisions(node, "after", order.decisions)
    node.close()
    Reporter(order, "parent").tell(busy=next(numbers), counts=asdict(delivery.close()), statuses=statuses)


def started_node(order: ForkOrder) -> tuple[ServingNode, KafkaDelivery]:
    """A node on the order's Kafka and Redis, with a spool, a kill file and metrics."""
    from prometheus_client import CollectorRegistry

    from monitoring.metrics import ProducerMetrics
    from policy_store.backends.redis_store import RedisStore
    from policy_store.records.signing import TrustedKeys
    from producers.delivery.delivery_spool import DeliverySpool
    from producers.delivery.kafka_delivery import KafkaDelivery
    from serving_agent.node import NodeConnections, ServingNodeConfig, build_node
    from tests.serving_samples import codec, serving_experiment

    experiment = serving_experiment(
        experiment={"exploration_rate": 0.0, "control_rate": 0.0, "log_rate": 1.0},
        # Long before the store would bring it, the file does.
        serving={"poll": "1s"},
    )
    folder, registry = Path(order.folder) / "n1", CollectorRegistry()
    spool = DeliverySpool(folder / "spool", neighbours=folder.parent)
    delivery = KafkaDelivery({"bootstrap.servers": order.bootstrap}, metrics=ProducerMetrics(registry), spool=spool)
    config = ServingNodeConfig(
        experiment,
        TrustedKeys.parse(order.trusted),
        node_id="n1",
        topic_prefix=order.prefix,
        data_dir=folder,
        kill_file=order.kill_file,
    )
    connections = NodeConnections(RedisStore(order.redis_url, experiment.name), delivery, codec())
    node = build_node(config, connections, registry)
    node.start()
    return node, delivery


def forked(work: Callable[[], None]) -> int:
    """Run `work` in a forked child, which ends as a script does."""
    pid = os.fork()
    if pid == 0:
        work()
        sys.exit(0)
    return pid


def use(order: ForkOrder, node: ServingNode, delivery: KafkaDelivery, name: str) -> None:
    """What each child does: decide at once, until a policy serves, log, and wait for the kill."""
    reporter = Reporter(order, name)
    # Runs after the hook that flushes and spools, because `_report` was registered before that hook.
    REPORTS.append(lambda: reporter.tell(counts=asdict(delivery.counts())))
    first = log_decisions(node, f"{name}-first", 1)
    await_condition(lambda: log_decisions(node, None, 1) == ["v1"])
    served = log_decisions(node, name, order.decisions)
    reporter.tell(first=first, served=served, heartbeat=node.report().node_id)
    await_condition(lambda: log_decisions(node, None, 1) == ["killed"])
    log_decisions(node, f"{name}-last", order.decisions)
    reporter.tell(killed=True)
    if name == "raises":
        raise RuntimeError("a script's end that nobody planned")


def log_decisions(node: ServingNode, name: str | None, count: int) -> list[str]:
    """Decide, confirm and engage `count` times; without a name only decide. Returns each policy version or reason."""
    from serving_agent.decide.decision_request import DecisionRequest
    from tests.serving_samples import embedded

    chosen = []
    for number in range(count):
        request_id = None if name is None else f"{name}-{number}"
        decision = node.decide(DecisionRequest(request_id=request_id, user_embedding=embedded(0.0)))
        reason = decision.fallback_reason
        chosen.append(decision.policy_version if reason is None else reason.value)
        if name is not None:
            decision.applied()
            node.engagements.log(decision.request_id, "repin", event_time=time.time_ns() // 1_000_000)
    return chosen


def await_condition(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not reached in {WAIT_SECONDS} s"
        time.sleep(0.02)


REPORTS: list[Callable[[], None]] = []


def _report() -> None:
    for report in REPORTS:
        report()


if __name__ == "__main__":
    atexit.register(_report)
    run(ForkOrder(**json.loads(sys.argv[1])))
