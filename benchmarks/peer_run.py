"""Runs one peer over an input and measures it from outside.

Time is measured from the first record the peer handled to the broker's LogAppendTime of its last example, or for peers
without output to the last record read. It includes JIT warm-up, but not start-up, imports and joining the consumer
group. CPU time is that of the process tree between these two instants; memory is the peak of the whole run. For
`trimtab join` time starts at its first log line `partition taken`, before it fetches any record, and a run is only
correct if it has committed up to the end of the log.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # public, without __all__

from benchmarks.input_log import ANSWER_SECONDS, PARTITIONS, InputLog, delete_topics_of, forget_outputs
from benchmarks.output_check import OutputCheck, check_output
from benchmarks.peer_table import ROOT, Peer
from benchmarks.process_tree import TreeSampler
from benchmarks.worker_log import first_taken, wait_until_settled, worker_environment
from stream_processors.audit import LogReader
from trimtab.child_process import spawn, stop, tail

EXPERIMENT = Path(__file__).with_name("homefeed.toml")
POLL_SECONDS = 0.3
SILENCE_SECONDS = 2.0
"""How long to wait for unexpected further examples, such as second copies, after the last expected one."""
STALL_SECONDS = 120.0
STOP_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class RunSettings:
    """Directory for a run's files, its time limit, and the broker's process id for measuring its CPU time."""

    directory: Path
    timeout_s: float
    broker_pid: int | None
    experiment: Path = EXPERIMENT


@dataclass(frozen=True, slots=True)
class Measurement:
    """One run of one peer; `threads` counts threads or workers. `correct` is None for peers that write nothing."""

    peer: str
    threads: int
    requests: int
    events: int
    seconds: float
    events_per_s: float
    cpu_s_per_million: float
    peak_rss_mb: float
    correct: bool | None
    examples: int | None
    second_copies: int
    first_example_s: float | None
    broker_cpu_s_per_million: float | None
    note: str = ""


class PeerRun:
    """One run; call `measure` once."""

    def __init__(self, peer: Peer, log: InputLog, settings: RunSettings) -> None:
        self._peer = peer
        self._log = log
        self._settings = settings
        self._run = f"{peer.name}-{time.time_ns()}"
        self._output = log.examples_topic if peer.ours else f"{self._run}-examples"
        self._state = settings.directory / self._run
        self._errors = settings.directory / f"{self._run}.log"

    def measure(self) -> Measurement:
        """Start the peer, wait until it is done, stop it and check what it wrote."""
        self._prepare()
        process = spawn(self._peer.command, log=self._errors, env=self._environment())
        samplers = [TreeSampler(pid) for pid in (process.pid, self._settings.broker_pid) if pid is not None]
        for sampler in samplers:
            sampler.start()
        try:
            note = self._wait(process)
            if not note and self._peer.ours and not wait_until_settled(self._log):
                note = "not committed to the end of the log"
        finally:
            for sampler in samplers:
                sampler.stop()
            stop(process, STOP_SECONDS)
        measurement = self._result(samplers, note)
        self._clean_up()
        return measurement

    def _prepare(self) -> None:
        self._state.mkdir(parents=True)
        if self._peer.ours:
            forget_outputs(self._log)
        elif self._peer.writes_examples:
            topic = NewTopic(self._output, PARTITIONS, 1, config={"message.timestamp.type": "LogAppendTime"})
            # A local variable, because the futures need the client alive.
            admin = AdminClient({"bootstrap.servers": self._log.bootstrap})
            admin.create_topics([topic])[self._output].result(ANSWER_SECONDS)

    def _environment(self) -> dict[str, str]:
        job = {
            "bootstrap": self._log.bootstrap,
            "events_topic": self._log.events_topic,
            "output_topic": self._output,
            "group": self._run,
            "state_dir": str(self._state),
            "start_file": str(self._state / "start"),
            "end_file": str(self._state / "end"),
            "event_count": str(self._log.events),
            "variant": self._peer.variant,
            "threads": str(self._peer.threads),
            "schemas": str(ROOT / "event_schemas"),
        }
        told = {f"JOB_{name.upper()}": value for name, value in job.items()}
        return {**worker_environment(self._log, self._settings.experiment, self._state), **told}

    def _wait(self, process: subprocess.Popen[bytes]) -> str:
        """Wait until the peer is done; returns the reason if it cannot finish, otherwise an empty string."""
        started = time.monotonic()
        watch = OutputWatch(self._log.bootstrap, self._output) if self._peer.writes_examples else None
        examples, changed = 0, started
        while True:
            time.sleep(POLL_SECONDS)
            now = time.monotonic()
            if watch is None:
                if (self._state / "end").exists():
                    return ""
            else:
                written = watch.written()
                examples, changed = written, changed if written == examples else now
                if examples >= self._log.reference.examples and now - changed > SILENCE_SECONDS:
                    return ""
                if examples and now - changed > STALL_SECONDS:
                    return f"stalled at {examples} examples"
            if process.poll() is not None:
                return f"ended with code {process.returncode}: {tail(self._errors, 3)}"
            if now - started > self._settings.timeout_s:
                return f"not done after {self._settings.timeout_s:.0f} s"

    def _result(self, samplers: list[TreeSampler], note: str) -> Measurement:
        events, peer_cpu = self._log.events, samplers[0].cpu
        found = self._check_output()
        start, end = self._start(), self._end(found)
        if start is None or end is None or end <= start:
            start, end = peer_cpu.instants[0], peer_cpu.instants[-1]
            note = note or "start or end unknown: the whole life of the process is counted"
        seconds = end - start
        return Measurement(
            peer=self._peer.name,
            threads=self._peer.threads,
            requests=self._log.requests,
            events=events,
            seconds=round(seconds, 3),
            events_per_s=round(events / seconds, 1),
            cpu_s_per_million=round(peer_cpu.between(start, end) / events * 1e6, 2),
            peak_rss_mb=round(samplers[0].peak_rss_mb, 1),
            correct=None if found is None else found.tally == self._log.reference and not (found.second_copies or note),
            examples=None if found is None else found.tally.examples,
            second_copies=0 if found is None else found.second_copies,
            first_example_s=None if found is None or found.first_at is None else round(found.first_at - start, 3),
            broker_cpu_s_per_million=(
                round(samplers[1].cpu.between(start, end) / events * 1e6, 2) if len(samplers) > 1 else None
            ),
            note=note,
        )

    def _check_output(self) -> OutputCheck | None:
        if not self._peer.writes_examples:
            return None
        return check_output(LogReader(self._log.client_config, self._output).read_all())

    def _start(self) -> float | None:
        if self._peer.ours:
            return first_taken(self._errors.read_text(encoding="utf-8", errors="replace"))
        return _instant(self._state / "start")

    def _end(self, found: OutputCheck | None) -> float | None:
        return _instant(self._state / "end") if found is None else found.last_at

    def _clean_up(self) -> None:
        delete_topics_of(self._log.bootstrap, self._run)
        shutil.rmtree(self._state, ignore_errors=True)


class OutputWatch:
    """Counts the records in a topic from its offsets."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._topic = topic
        self._consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "benchmark-watch"})

    def written(self) -> int:
        places = [TopicPartition(self._topic, partition) for partition in range(PARTITIONS)]
        spans = [self._consumer.get_watermark_offsets(place, timeout=ANSWER_SECONDS) for place in places]
        return sum(end - start for start, end in spans)


def _instant(file: Path) -> float | None:
    return float(file.read_text(encoding="utf-8")) if file.exists() else None
