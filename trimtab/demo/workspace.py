"""The demo's directory, and the environment in which each experiment's processes run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from event_schemas.directory_lock import DirectoryLock, DirectoryTaken
from event_schemas.experiment import Experiment, load_experiment
from policy_store.records import Role, SigningKey, write_key_pair
from trimtab.demo.job_runner import DemoFailed, Job
from trimtab.embedded_runtime import EmbeddedRuntime

LEARNER, GOVERNANCE = "learner", "governance"
REPOSITORY = Path(__file__).resolve().parents[2]
OPEN_BANDIT = REPOSITORY / "datasets" / "open_bandit"
HOMEFEED = REPOSITORY / "simulator" / "experiments" / "homefeed.toml"
MARKER_FILE = ".trimtab-demo"


@dataclass(frozen=True)
class Workspace:
    """The demo's directory, recreated by `prepared`: keys in `keys/`, logs in `logs/`, data by experiment."""

    directory: Path

    @property
    def logs(self) -> Path:
        """The folder of the processes' logs."""
        return self.directory / "logs"

    @contextmanager
    def prepared(self) -> Iterator[None]:
        """Empties the directory and creates the keys; no other demo can use it until the context ends.

        Raises DemoFailed when another demo runs there, the directory contains other files, or the data set is missing.
        """
        if not OPEN_BANDIT.is_dir():
            raise DemoFailed(f"{OPEN_BANDIT} does not exist", fix="run the demo from a checkout of the repository")
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        try:
            # The lock is beside the directory, because the directory's contents are deleted.
            lock = DirectoryLock(self.directory.with_name(f"{self.directory.name}.lock"))
        except DirectoryTaken as taken:
            raise DemoFailed(
                f"another demo is running in {self.directory}",
                fix="wait until it ends, or set TRIMTAB_DATA_DIR to another directory for this one",
            ) from taken
        try:
            self._prepare()
            yield
        finally:
            lock.release()

    def _prepare(self) -> None:
        if self.directory.exists():
            if any(self.directory.iterdir()) and not (self.directory / MARKER_FILE).exists():
                raise DemoFailed(
                    f"{self.directory} is not empty and not from a demo",
                    fix="set TRIMTAB_DATA_DIR to another directory",
                )
            shutil.rmtree(self.directory)
        keys = self.directory / "keys"
        self.directory.mkdir()
        (self.directory / MARKER_FILE).touch()
        for role in (Role.LEARNER, Role.GOVERNANCE):
            write_key_pair(SigningKey.generate(role, "demo"), keys / f"{role.value}.key")

    def signing_key(self, role: str) -> str:
        """The value of TRIMTAB_SIGNING_KEY for a role."""
        return f"@{self.directory / 'keys' / f'{role}.key'}"

    def trusted_keys(self) -> str:
        """The value of TRIMTAB_TRUSTED_KEYS."""
        return f"@{self.directory / 'keys' / 'trusted_keys'}"


@dataclass(frozen=True)
class DemoExperiment:
    """One experiment of the demo, with its own topics, data and processes."""

    workspace: Workspace
    runtime: EmbeddedRuntime
    file: Path

    @cached_property
    def spec(self) -> Experiment:
        """The experiment file; raises ExperimentError."""
        return load_experiment(self.file)

    @property
    def name(self) -> str:
        """The experiment's name."""
        return self.spec.name

    @property
    def topic_prefix(self) -> str:
        """Prefix of its topics."""
        return f"trimtab.{self.name}."

    @property
    def data_dir(self) -> Path:
        """The directory for its processes' data."""
        return self.workspace.directory / self.name

    def environment(self, signs_as: str = LEARNER) -> dict[str, str]:
        """The environment variables of its processes."""
        return {
            **self.runtime.environment(),
            "TRIMTAB_TOPIC_PREFIX": self.topic_prefix,
            "TRIMTAB_EXPERIMENT": str(self.file),
            "TRIMTAB_DATA_DIR": str(self.data_dir),
            "TRIMTAB_SIGNING_KEY": self.workspace.signing_key(signs_as),
            "TRIMTAB_TRUSTED_KEYS": self.workspace.trusted_keys(),
            # Several times more records fit into the embedded broker's 5 MiB per partition.
            "TRIMTAB_KAFKA_COMPRESSION": "gzip",
            "OMP_NUM_THREADS": "1",
        }

    def job(self, verb: str, *arguments: str, label: str = "", signs_as: str = LEARNER) -> Job:
        """A command of this experiment, named `<experiment>-<label or verb>` in the logs."""
        return Job(f"{self.name}-{label or verb}", [verb, *arguments], self.environment(signs_as))
