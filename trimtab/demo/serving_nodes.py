"""The demo's serving nodes: `trimtab serve` processes, and the state they report."""

from __future__ import annotations

import http.client
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from simulator.sidecar_port import SidecarPort
from trimtab.demo.job_runner import JobRunner, Tick
from trimtab.demo.workspace import DemoExperiment
from trimtab.embedded_runtime import LOOPBACK, free_port

START_SECONDS = 60.0


@dataclass(frozen=True)
class NodeProcess:
    """One node of one experiment."""

    experiment: DemoExperiment
    number: int
    port: int

    @property
    def job_name(self) -> str:
        """The name of its child process."""
        return f"{self.experiment.name}-node-{self.number}"

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{LOOPBACK}:{self.port}"

    def ready(self) -> bool:
        """Whether it is ready, which it is only after it has read the store once."""
        return _get(f"{self.url}/readyz") is not None

    def health(self) -> dict[str, Any]:
        """Its `/healthz` report; empty while it does not answer."""
        text = _get(f"{self.url}/healthz")
        return {} if text is None else dict(json.loads(text))

    def channel(self, channel: str) -> dict[str, Any]:
        """Its report on a channel: version, result of the pick-up, notes."""
        return dict(self.health().get("channels", {}).get(channel) or {})

    def drift(self) -> dict[str, float]:
        """The exported PSI by head; Q heads are named `q:<objective>`."""
        text = _get(f"{self.url}/metrics") or ""
        return {
            sample.labels["head"]: float(sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == "trimtab_drift_statistic"
        }

    def acknowledged(self) -> Counter[str]:
        """Its producers' acknowledged events by record, once none are in flight."""
        port = SidecarPort(self.url)
        counts = Counter({record: n for (record, fate), n in port.settled_events().items() if fate == "acknowledged"})
        port.close()
        return counts


def start_nodes(runner: JobRunner, experiment: DemoExperiment, count: int = 2) -> list[NodeProcess]:
    """Starts `count` nodes on free ports, without waiting for them."""
    nodes = [NodeProcess(experiment, number, free_port()) for number in range(1, count + 1)]
    for node in nodes:
        arguments = ("--port", str(node.port), "--node-id", f"node-{node.number}")
        runner.start(experiment.job("serve", *arguments, label=f"node-{node.number}"))
    return nodes


def await_nodes(
    runner: JobRunner,
    nodes: list[NodeProcess],
    holds: Callable[[NodeProcess], bool],
    what: str,
    tick: Tick,
) -> None:
    """Waits until `holds` is true of every node; raises DemoFailed, naming `what`, when it takes too long."""
    waiting = list(nodes)

    def all_hold() -> bool:
        waiting[:] = [node for node in waiting if not holds(node)]
        return not waiting

    runner.wait_until(all_hold, what, START_SECONDS, tick)


def _get(url: str) -> str | None:
    """The body of a 200 response, else None."""
    try:
        with urlopen(url, timeout=2) as answer:
            body: bytes = answer.read()
            return body.decode()
    except (URLError, OSError, http.client.HTTPException):
        return None
