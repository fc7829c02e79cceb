"""Processes of a released version and of the present one, side by side on one broker, one Redis and one experiment."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from event_schemas import records as r
from event_schemas.codec import Codec
from event_schemas.experiment import Experiment, load_experiment
from event_schemas.schema_registry import load_registry
from learner.checkpoints.checkpoint import learner_directory
from learner.examples.stored_files import EXAMPLES_FOLDER, stored_examples
from policy_store.backends.redis_store import RedisStore
from policy_store.decisions import Decider
from policy_store.decisions.verification import TrustRule
from policy_store.records.signing import Role, SigningKey, TrustedKeys, write_key_pair
from producers.delivery.kafka_delivery import KafkaDelivery
from producers.loggers.heartbeats import send_heartbeats
from stream_processors.audit.log_reader import LogReader
from tests.upgrades.frozen_traffic import EXPERIMENT, Visit

ROLLING = {
    'name = "upgrade"': 'name = "{name}"',
    "exploration_rate = 0.9": "exploration_rate = 0.6",
    "control_rate = 0.3": "control_rate = 0.1",
    'allowed_lateness = "12h"': 'allowed_lateness = "2d"',
    'clock = "replay"': 'clock = "replay"\nmax_future_skew = "10d"',
    "budget_ms = 2000": "budget_ms = 10000\ncanary_share = 0.4",
}
"""Changes to the experiment of the frozen sets: more requests for the policy, time for nodes that log in turn, windows
that heartbeats close ahead of the clock, and a canary that some of few users get."""
PRESENT = Path(__file__).parents[2]
"""The code of today, as the code of a release is a folder for PYTHONPATH."""
WAIT_SECONDS = 60.0
SAID = ("--by", "ada", "--reason", "mixed")
Found = TypeVar("Found")
SERVES = re.compile(r"serves on (http://\S+)")


@dataclass(frozen=True)
class Sidecar:
    """A `trimtab serve` process; its methods wait until it answers."""

    node_id: str
    code: Path
    process: subprocess.Popen[bytes]
    log: Path

    @cached_property
    def url(self) -> str:
        return await_value(lambda: SERVES.search(self.log.read_text(encoding="utf-8")), self.log.read_text)[1]

    def decide(self, visit: Visit) -> dict[str, Any]:
        """The answer for the visit's request."""
        asked = visit.request
        content = {
            "request_id": asked.request_id,
            "user_id": asked.user_id,
            "cohort": asked.cohort,
            "user_embedding": list(asked.user_embedding),
            "context": dict(asked.context),
            "history": list(asked.history),
            "event_time": asked.event_time,
        }
        return self._call("/v1/decisions", content)

    def serve(self, visited: Iterable[Visit]) -> list[dict[str, Any]]:
        """Decide, confirm and report what the users did; the answers."""
        answers = []
        for visit in visited:
            answers.append(self.decide(visit))
            request_id = visit.request.request_id
            self._call(f"/v1/decisions/{request_id}/applied", {})
            for kind, delay in visit.engagements:
                happened = {"request_id": request_id, "kind": kind, "event_time": visit.time + delay}
                self._call("/v1/engagements", happened)
        return answers

    def report(self) -> dict[str, Any]:
        """What the node says of itself."""
        return self._call("/healthz")

    def await_report(self, agrees: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first report that agrees."""
        return await_value(lambda: report if agrees(report := self.report()) else None, self.report)

    def await_serving(self, version: str, channel: str = "stable") -> None:
        """Wait until it serves what the channel points to."""
        self.await_report(lambda report: report["versions"].get(channel) == version)

    def end(self) -> None:
        """Everything it holds is delivered; it must end in order."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(WAIT_SECONDS) == 0, self.log.read_text(encoding="utf-8")

    def _call(self, path: str, content: dict[str, Any] | None = None) -> dict[str, Any]:
        body = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(self.url + path, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=WAIT_SECONDS) as answer:
            decoded: dict[str, Any] = json.loads(answer.read())
            return decoded


@dataclass
class MixedFleet:
    """An experiment on one prefix and one store; `code` in its methods says whose code a process runs."""

    bootstrap: str
    redis_url: str
    prefix: str
    experiment_file: Path
    directory: Path
    registry_url: str | None = None
    sidecars: list[Sidecar] = field(default_factory=list)

    def __post_init__(self) -> None:
        keys = self.directory / "keys"
        keys.mkdir()
        write_key_pair(SigningKey.generate(Role.LEARNER, "mixed"), keys / "learner")
        write_key_pair(SigningKey.generate(Role.GOVERNANCE, "mixed"), keys / "board")

    @cached_property
    def experiment(self) -> Experiment:
        return load_experiment(self.experiment_file)

    @cached_property
    def trusted_keys(self) -> str:
        """Both public keys, as TRIMTAB_TRUSTED_KEYS takes them."""
        kept = sorted((self.directory / "keys").glob("*.pub"))
        return ",".join(path.read_text(encoding="utf-8").strip() for path in kept)

    def key(self, name: str) -> SigningKey:
        """The key `learner` or `board`."""
        return SigningKey.parse((self.directory / "keys" / name).read_text(encoding="utf-8").strip())

    @contextmanager
    def store(self) -> Iterator[RedisStore]:
        """The policy store, as the code of today opens it."""
        store = RedisStore(self.redis_url, self.experiment.name)
        yield store
        store.close()

    @property
    def codec(self) -> Codec:
        """Of today, with what the Schema Registry has now, if there is one."""
        return Codec(load_registry(self.registry_url, self.directory / "ids", reads_only=True))

    @property
    def rule(self) -> TrustRule:
        """What a reader of the experiment accepts."""
        trusted = TrustedKeys.parse(self.trusted_keys)
        return TrustRule(trusted, self.experiment.name, self.experiment.action_space.digest)

    def ada(self, store: RedisStore) -> Decider:
        """Who decides for the board, by the store's clock."""
        return Decider(by="ada", reason="mixed", now_ms=store.time_ms(), key=self.key("board"))

    def environment(self, code: Path, key: str = "learner", machine: str = "machine") -> dict[str, str]:
        """The variables of a process; `machine` has its data directory."""
        return {
            **os.environ,
            "PYTHONPATH": str(code),
            "OMP_NUM_THREADS": "1",
            "TRIMTAB_KAFKA_BOOTSTRAP": self.bootstrap,
            "TRIMTAB_TOPIC_PREFIX": self.prefix,
            "TRIMTAB_REDIS_URL": self.redis_url,
            "TRIMTAB_EXPERIMENT": str(self.experiment_file),
            "TRIMTAB_DATA_DIR": str(self.directory / machine),
            "TRIMTAB_SIGNING_KEY": f"@{self.directory / 'keys' / key}",
            "TRIMTAB_TRUSTED_KEYS": self.trusted_keys,
            **({} if self.registry_url is None else {"TRIMTAB_SCHEMA_REGISTRY_URL": self.registry_url}),
        }

    def run(
        self, code: Path, *arguments: str, key: str = "learner", machine: str = "machine"
    ) -> subprocess.CompletedProcess[str]:
        """A command, run to its end."""
        command = [sys.executable, "-P", "-m", "trimtab", *arguments]
        environment = self.environment(code, key, machine)
        return subprocess.run(
            command, env=environment, cwd=self.directory, capture_output=True, text=True, timeout=2 * WAIT_SECONDS
        )

    def trimtab(self, code: Path, *arguments: str, key: str = "learner", machine: str = "machine") -> Any:
        """What a command prints as JSON; it must succeed."""
        done = self.run(code, *arguments, "--json", key=key, machine=machine)
        assert done.returncode == 0, f"{arguments}:\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout)

    def serve(self, code: Path, node_id: str) -> Sidecar:
        """A node that starts; one that was ended before may start again with other code."""
        log = self.directory / f"{node_id}-{len(self.sidecars)}.log"
        process = self._start(code, log, node_id, "serve", "--port", "0", "--node-id", node_id)
        self.sidecars.append(Sidecar(node_id, code, process, log))
        return self.sidecars[-1]

    @contextmanager
    def joining(self, code: Path) -> Iterator[None]:
        """A join worker, which has processed everything and committed when the context ends."""
        log = self.directory / f"join-{code.name}.log"
        worker = self._start(code, log, "machine", "join")
        try:
            yield
            reader = LogReader({"bootstrap.servers": self.bootstrap}, f"{self.prefix}events")
            ends = {number: span.end for number, span in reader.ranges().items()}
            await_value(lambda: self._settled(reader, ends) or None, log.read_text)
        finally:
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(WAIT_SECONDS) == 0, log.read_text(encoding="utf-8")

    def close_windows(self, event_time: int) -> None:
        """Heartbeats end what is a window older than `event_time`."""
        with KafkaDelivery({"bootstrap.servers": self.bootstrap}) as sender:
            topic = f"{self.prefix}events"
            partitions = LogReader({"bootstrap.servers": self.bootstrap}, topic).partitions
            send_heartbeats(sender, self.codec, topic, partitions, event_time)

    def decoded(self, topic: str) -> list[Any]:
        """Every record of a topic, decoded by the code of today."""
        codec = self.codec
        reader = LogReader({"bootstrap.servers": self.bootstrap}, f"{self.prefix}{topic}")
        return [codec.decode(record.value) for record in reader.read_all()]

    def await_logged(self, decisions: int, engagements: int) -> None:
        """Wait until the log has what nodes were asked to log; they deliver in the background."""
        await_value(
            lambda: self._logged(decisions, engagements) or None, lambda: f"{decisions} decisions are not logged"
        )

    def segments(self, machine: str) -> Path:
        """The folder in which the learner of this machine stores examples."""
        return learner_directory(self.directory / machine, self.experiment) / EXAMPLES_FOLDER

    def rows(self, machine: str) -> list[str]:
        """The request ids that are stored there, in order."""
        return sorted(map(str, stored_examples(self.segments(machine))["request_request_id"]))

    def kill_processes(self) -> None:
        """At the end of a test, whatever came of it."""
        for sidecar in self.sidecars:
            sidecar.process.kill()
            sidecar.process.wait(WAIT_SECONDS)

    def _start(self, code: Path, log: Path, machine: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-P", "-m", "trimtab", *arguments]
        environment = self.environment(code, machine=machine)
        with log.open("wb") as output:
            return subprocess.Popen(command, env=environment, cwd=self.directory, stdout=output, stderr=output)

    def _logged(self, decisions: int, engagements: int) -> bool:
        counts = Counter(each.name for each in self.decoded("events"))
        return counts[r.ACTION] == counts[r.PROPENSITY] == decisions and counts[r.ENGAGEMENT] == engagements

    def _settled(self, reader: LogReader, ends: dict[int, int]) -> bool:
        settled = reader.committed(f"{self.prefix}join")
        return all(number in settled and settled[number].settled >= end for number, end in ends.items() if end)


def rolling_experiment(name: str) -> str:
    """An experiment file that every release reads."""
    text = EXPERIMENT.format(source=f"{name}.actions")
    for before, after in ROLLING.items():
        assert before in text
        text = text.replace(before, after.format(name=name))
    return text


def await_value(look: Callable[[], Found | None], told: Callable[[], object]) -> Found:
    """What `look` finds, once it finds something; `told` is shown when it never does."""
    deadline = time.monotonic() + WAIT_SECONDS
    while (found := look()) is None:
        assert time.monotonic() < deadline, told()
        time.sleep(0.05)
    return found
