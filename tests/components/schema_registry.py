"""A real Schema Registry (Apicurio) as a child process, from the archive that `make components` fetches."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import IO, Any

from confluent_kafka.schema_registry import Schema, SchemaReference

from benchmarks.kafka_broker import JAVA, java_executable
from event_schemas.errors import ComponentUnreachable
from event_schemas.registry_client import RegistryConnection
from tests.components.free_port import free_port
from tests.components.kafka_broker import ComponentMissing

FOLDER = Path(__file__).parents[2] / ".cache" / "apicurio"
PROGRAM = "apicurio-registry-app-*-runner.jar"
START_SECONDS = 90.0
STOP_SECONDS = 20.0


class SchemaRegistry:
    """One registry on a free loopback port that keeps its schemas in memory; compatibility is NONE by default.

    `start()` returns when it answers; `stop()` ends it. `empty()` forgets Trimtab's schemas and their compatibility,
    but gives no id out twice.
    """

    def __init__(self, directory: Path, *, folder: Path = FOLDER) -> None:
        self._directory = directory
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None
        self.address = f"127.0.0.1:{free_port()}"
        """`host:port`."""
        self.url = self.url_at(self.address)
        """The address for clients of Confluent's registry."""
        self._connection = RegistryConnection(self.url)
        self.client = self._connection.client

    @staticmethod
    def url_at(address: str) -> str:
        """The address for clients that reach the registry at `host:port`."""
        return f"http://{address}/apis/ccompat/v7"

    def start(self) -> None:
        """Starts the registry and waits for an answer; raises ComponentMissing."""
        program = next(self._folder.glob(PROGRAM), None)
        if program is None:
            raise ComponentMissing(f"no Schema Registry in {self._folder}", fix="run `make components`")
        host, _, port = self.address.partition(":")
        self._output = (self._directory / "registry.log").open("ab")
        command = [java_executable(), *JAVA, f"-Dquarkus.http.host={host}", f"-Dquarkus.http.port={port}"]
        self._process = subprocess.Popen(
            [*command, "-jar", str(program)], stdout=self._output, stderr=subprocess.STDOUT, cwd=self._directory
        )
        self._wait_for_answer()

    def stop(self) -> None:
        """Ends the registry, by force after 20 s."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(STOP_SECONDS)
            self._process = None
        if self._output is not None:
            self._output.close()
            self._output = None

    def empty(self) -> None:
        """Removes all subjects of Trimtab; others may refer to each other, and then the registry keeps them."""
        for subject in self.client.get_subjects():
            if subject.startswith("trimtab."):
                self.client.delete_subject(subject)
                self.client.delete_subject(subject, permanent=True)
        self.client = RegistryConnection(self.url).client

    def register(
        self, subject: str, schema: Any, kind: str = "AVRO", references: tuple[SchemaReference, ...] = ()
    ) -> int:
        """The id of a schema under a subject; `schema` is text, or JSON."""
        text = schema if isinstance(schema, str) else json.dumps(schema)
        return self.client.register_schema(subject, Schema(text, kind, list(references)))

    def _wait_for_answer(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process is not None and self._process.poll() is not None:
                raise RuntimeError(f"the Schema Registry ended during start-up: {self._last_lines()}")
            try:
                with self._connection.asking("list the subjects"):
                    self.client.get_subjects()
                return
            except ComponentUnreachable:
                time.sleep(0.2)
        raise RuntimeError(f"the Schema Registry does not answer after {START_SECONDS:.0f} s: {self._last_lines()}")

    def _last_lines(self) -> str:
        text = (self._directory / "registry.log").read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-20:])
