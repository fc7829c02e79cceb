"""Frozen sets, restored into real components, and fleets in which the code of a release runs beside that of today."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.components.kafka_broker import KafkaBroker
from tests.components.redis_server import RedisServer
from tests.conftest import TopicFactory
from tests.upgrades.frozen_code import FrozenCode
from tests.upgrades.frozen_set import FrozenSet, frozen_sets
from tests.upgrades.mixed_fleet import MixedFleet, rolling_experiment


@dataclass(frozen=True, slots=True)
class Restored:
    """A set in this test's components; `environment` points a `trimtab` process at them."""

    frozen: FrozenSet
    bootstrap: str
    redis_url: str
    machine: Path

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, **self.frozen.environment(self.bootstrap, self.redis_url, self.machine)}

    def trimtab(self, *arguments: str, key: str = "learner") -> subprocess.CompletedProcess[str]:
        """A command of today, run to its end; it must succeed."""
        environment = self.environment | {"TRIMTAB_SIGNING_KEY": self.frozen.key(key)}
        done = subprocess.run(
            [sys.executable, "-m", "trimtab", *arguments], env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, f"{arguments}:\n{done.stdout}\n{done.stderr}"
        return done


@pytest.fixture(params=frozen_sets(), ids=lambda frozen: frozen.version)
def frozen(request: pytest.FixtureRequest) -> FrozenSet:
    """Each set in turn."""
    found: FrozenSet = request.param
    return found


@pytest.fixture
def restored_store(frozen: FrozenSet, tmp_path: Path) -> Iterator[str]:
    """The URL of a redis-server that has loaded the set's dump."""
    directory = tmp_path / "redis"
    directory.mkdir()
    shutil.copy(frozen.folder / "redis.rdb", directory / "dump.rdb")
    server = RedisServer(directory)
    server.start()
    yield server.url
    server.stop()


@pytest.fixture
def restored(frozen: FrozenSet, kafka: KafkaBroker, restored_store: str, tmp_path: Path) -> Restored:
    """The whole set, in a broker, a Redis and a data directory; for one test of a session."""
    frozen.restore_topics(kafka.bootstrap)
    return Restored(frozen, kafka.bootstrap, restored_store, frozen.restore_machine(tmp_path))


@pytest.fixture(scope="session")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The code of 0.1.0, in a folder for PYTHONPATH."""
    return FrozenCode("0.1.0").extract(tmp_path_factory.mktemp("code") / "0.1.0")


@pytest.fixture
def fleet(kafka: KafkaBroker, topics: TopicFactory, redis_url: str, tmp_path: Path) -> Iterator[MixedFleet]:
    """Fresh topics and an experiment of its own; what still runs at the end is killed."""
    prefix = topics(2)
    experiment_file = tmp_path / "trimtab.toml"
    experiment_file.write_text(rolling_experiment(f"mixed-{prefix.rstrip('.')}"), encoding="utf-8")
    made = MixedFleet(kafka.bootstrap, redis_url, prefix, experiment_file, tmp_path)
    yield made
    made.kill_processes()
