"""Real components for every suite: one Kafka broker, Redis and Schema Registry per session, fresh topics per test."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

import pytest
import structlog
from hypothesis import HealthCheck, settings

from producers.topics.topic_admin import create_topics
from tests.components.experiment_sample import HOMEFEED
from tests.components.join_bench import JoinBench
from tests.components.kafka_broker import ComponentMissing, KafkaBroker
from tests.components.redis_server import RedisServer
from tests.components.schema_registry import SchemaRegistry
from tests.components.secured_broker import SecuredBroker

# How fast a machine is, is no property of the code.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

TopicFactory = Callable[..., str]
SECURED_USERS = ("serving", "join", "learner", "bridge", "operator", "nobody")


@pytest.fixture(autouse=True)
def log_lines_go_to_this_test() -> Iterator[None]:
    """A command that a test runs in this process directs the log lines to the standard error of that moment."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def signals_as_before() -> Iterator[None]:
    """What the test takes SIGTERM and SIGINT for is undone: the test process wants them back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class Component(Protocol):
    """A server that the tests start themselves."""

    def start(self) -> None:
        """Raises ComponentMissing, which names the fix, if something that it needs is absent."""

    def stop(self) -> None:
        """Ends it."""


Started = TypeVar("Started", bound=Component)


@contextmanager
def started(component: Started) -> Iterator[Started]:
    """The running component; without what it needs the test fails, and does not skip."""
    try:
        component.start()
    except ComponentMissing as missing:
        pytest.fail(str(missing), pytrace=False)
    yield component
    component.stop()


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """A running broker; without Java or the jars the test fails and names the fix."""
    with started(KafkaBroker(tmp_path_factory.mktemp("kafka"))) as broker:
        yield broker


@pytest.fixture(scope="session")
def secured_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    """A running broker with SASL_SSL and ACLs, where SECURED_USERS may do nothing until a test grants it."""
    with started(SecuredBroker(tmp_path_factory.mktemp("secured-kafka"), SECURED_USERS)) as broker:
        yield broker


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a running redis-server; without one the test fails and names the fix."""
    with started(RedisServer(tmp_path_factory.mktemp("redis"))) as server:
        yield server.url


@pytest.fixture(scope="session")
def started_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SchemaRegistry]:
    """A running Schema Registry; without Java or its archive the test fails and names the fix."""
    with started(SchemaRegistry(tmp_path_factory.mktemp("registry"))) as registry:
        yield registry


@pytest.fixture
def schema_registry(started_registry: SchemaRegistry) -> SchemaRegistry:
    """A running Schema Registry without schemas of Trimtab."""
    started_registry.empty()
    return started_registry


@pytest.fixture(scope="session")
def topics(kafka: KafkaBroker) -> TopicFactory:
    """Creates the four topics with so many partitions under a prefix of their own; returns the prefix."""
    numbers = itertools.count(1)

    def create(partitions: int = 4) -> str:
        prefix = f"test{next(numbers)}."
        create_topics({"bootstrap.servers": kafka.bootstrap}, prefix, partitions, 1)
        return prefix

    return create


@pytest.fixture
def experiment_file(tmp_path: Path) -> Path:
    """A valid experiment file: two objectives, the weight grid, `clock = "replay"`."""
    path = tmp_path / "trimtab.toml"
    path.write_text(HOMEFEED, encoding="utf-8")
    return path


@pytest.fixture
def join_bench(kafka: KafkaBroker, topics: TopicFactory, experiment_file: Path, tmp_path: Path) -> Iterator[JoinBench]:
    """Fresh topics and the means to run join workers on them; what still runs at the end is killed."""
    bench = JoinBench(kafka.bootstrap, topics(), experiment_file, tmp_path)
    yield bench
    bench.stop_workers(signal.SIGKILL)
