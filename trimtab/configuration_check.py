"""Checks what can be checked before a process starts: settings, keys, experiment file, and services.

Each check reports every fault it finds. A failed check does not stop the others, except those that need its result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from event_schemas.errors import ComponentUnreachable, ExperimentError, RightMissing, TrimtabError
from event_schemas.experiment import Experiment, every_fault, load_experiment
from event_schemas.instant import wall_clock_ms
from event_schemas.topics import EVENTS, TOPICS
from trimtab.settings import Settings, experiment_path, settings_with_faults


@dataclass(frozen=True, slots=True)
class Check:
    """The subject of a check, a short description of what was found, and the faults."""

    subject: str
    found: str
    faults: tuple[TrimtabError, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        problems = [{"error": fault.what, "fix": fault.fix} for fault in self.faults]
        return {"subject": self.subject, "ok": not self.faults, "found": self.found, "problems": problems}


def check_configuration(offline: bool) -> Iterator[Check]:
    """One check after the other; `offline` asks nothing of Kafka, Redis and the Schema Registry."""
    settings, faults = settings_with_faults()
    yield Check("settings", "read from the environment", tuple(faults))
    experiment, checked = _check_experiment(experiment_path(), settings)
    yield checked
    if settings is None:
        return
    yield _asked("keys", lambda: _keys(settings))
    if offline:
        return
    yield _check_kafka(settings)
    yield _asked("Redis", lambda: _redis(settings, experiment))
    if settings.schema_registry_url is not None:
        url = settings.schema_registry_url
        yield _asked("Schema Registry", lambda: _registry(url))


def _asked(subject: str, question: Callable[[], str]) -> Check:
    try:
        return Check(subject, question())
    except TrimtabError as fault:
        return Check(subject, "see below", (fault,))


def _check_experiment(file: Path, settings: Settings | None) -> tuple[Experiment | None, Check]:
    try:
        experiment = load_experiment(file)
    except ExperimentError as fault:
        return None, Check("experiment", str(file), tuple(every_fault(fault, file)))
    found = (
        f"{experiment.name}: {experiment.action_space.arms} arms, objectives {', '.join(experiment.objective_names)}"
    )
    faults: tuple[TrimtabError, ...] = ()
    if experiment.bridge and settings is not None:
        from trimtab.commands.bridge import mappers_of

        try:
            mappers_of(settings, experiment)
        except TrimtabError as fault:
            faults = (fault,)
    return experiment, Check("experiment", found, faults)


def _keys(settings: Settings) -> str:
    from policy_store.records import SigningKey, TrustedKeys

    trusted = TrustedKeys.parse(settings.trusted_keys_text()).key_ids
    signs = "none to sign with"
    if settings.signing_key is not None:
        signs = f"signs as {SigningKey.parse(settings.signing_key_text()).key_id}"
    return f"{signs}; trusts {', '.join(trusted) or 'no key: nothing in the store is accepted'}"


def _check_kafka(settings: Settings) -> Check:
    """The topics, each by name; a broker that does not answer is asked once."""
    from producers.topics import partitions_of, require_equal_counts

    client, counts = settings.kafka_client_config(), {}
    faults: list[TrimtabError] = []
    for topic in TOPICS:
        try:
            counts[settings.topic(topic)] = partitions_of(client, settings.topic(topic))
        except ComponentUnreachable as fault:
            return Check("Kafka", settings.kafka_bootstrap, (fault,))
        except TrimtabError as fault:
            faults.append(fault)
    try:
        require_equal_counts(counts)
        if settings.topic(EVENTS) in counts:
            settings.topic_identities().of(settings.topic(EVENTS))
    except TrimtabError as fault:
        faults.append(fault)
    found = f"{settings.kafka_bootstrap}: {len(counts)} of {len(TOPICS)} topics, {sum(counts.values())} partitions"
    return Check("Kafka", found, tuple(faults))


def _redis(settings: Settings, experiment: Experiment | None) -> str:
    """Check that the experiment's keys are readable and, if this user may read the Redis time, that clocks agree."""
    from policy_store.backends import RedisConnection
    from policy_store.records import require_clocks_agree
    from trimtab.secret_masking import masked_redis_address
    from trimtab.store_access import open_store

    where = masked_redis_address(settings.redis_url)
    if experiment is None:
        with closing(RedisConnection(settings.redis_url)) as connection, connection.answering("greeting"):
            connection.quick.ping()
        return where
    with closing(open_store(settings, experiment)) as store:
        store.newest_update()
        with suppress(RightMissing):
            require_clocks_agree(wall_clock_ms(), store.time_ms())
    return where


def _registry(url: str) -> str:
    from event_schemas.registry_client import RegistryConnection

    connection = RegistryConnection(url)
    with connection.asking("list the subjects"):
        subjects = connection.client.get_subjects()
    return f"{connection.shown}: {len(subjects)} subjects"
