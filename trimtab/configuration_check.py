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
from event_schemas.experiment import BrokenFields, Experiment, load_experiment
from event_schemas.instant import wall_clock_ms
from event_schemas.topics import EVENTS, EXPLORATIONS, TOPICS
from trimtab.experiment_warnings import ExperimentWarning, cap_warnings, join_warnings, retention_warnings
from trimtab.settings import Settings, experiment_path, settings_with_faults


@dataclass(frozen=True, slots=True)
class Check:
    """The subject of a check, a short description of what was found, the faults, and what is allowed but may harm."""

    subject: str
    found: str
    faults: tuple[TrimtabError, ...] = ()
    warnings: tuple[ExperimentWarning, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        problems = [{"error": fault.what, "fix": fault.fix} for fault in self.faults]
        warnings = [{"warning": each.what, "fix": each.fix} for each in self.warnings]
        told = {"subject": self.subject, "ok": not self.faults, "found": self.found}
        return told | {"problems": problems, "warnings": warnings}


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
    yield (kafka := _check_kafka(settings))
    if experiment is not None and not kafka.faults and (changed := _unit_changed(settings, experiment)):
        yield Check("exploration", "see below", (changed,))
    yield _asked("Redis", lambda: _redis(settings, experiment))
    if settings.schema_registry_url is not None:
        url = settings.schema_registry_url
        yield _check_registry(url)


def _asked(subject: str, question: Callable[[], str]) -> Check:
    try:
        return Check(subject, question())
    except TrimtabError as fault:
        return Check(subject, "see below", (fault,))


def _check_experiment(file: Path, settings: Settings | None) -> tuple[Experiment | None, Check]:
    try:
        experiment = load_experiment(file)
    except ExperimentError as fault:
        return None, Check("experiment", str(file), fault.faults if isinstance(fault, BrokenFields) else (fault,))
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
    warnings = (*join_warnings(experiment.join), *cap_warnings(experiment), *retention_warnings(experiment))
    return experiment, Check("experiment", found, faults, warnings)


def _keys(settings: Settings) -> str:
    from policy_store.records import Role, SigningKey, TrustedKeys

    trusted = TrustedKeys.parse(settings.trusted_keys_text()).key_ids
    signs = "none to sign with"
    if settings.signing_key is not None:
        signs = f"signs as {SigningKey.parse(settings.signing_key_text(Role.GOVERNANCE)).key_id}"
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


def _unit_changed(settings: Settings, experiment: Experiment) -> TrimtabError | None:
    """The error if decisions were drawn with another exploration unit; None also where nobody can say."""
    try:
        from learner.examples import KafkaExampleSource, read_explorations, require_one_unit
    except ModuleNotFoundError:  # a machine that only serves has no learner
        return None
    topic = settings.topic(EXPLORATIONS)
    try:
        with closing(KafkaExampleSource(settings.kafka_client_config(), topic)) as source:
            found = read_explorations(source, settings.codec(), None)
    except TrimtabError:  # the check of Kafka has said why, or this user may only see that the topics exist
        return None
    try:
        require_one_unit(found.settings.values(), experiment)
    except TrimtabError as fault:
        return fault
    return None


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


def _check_registry(url: str) -> Check:
    """Checks that the registry answers, and that all versions under Trimtab's subjects can be read."""
    from event_schemas.registered_schemas import foreign_faults
    from event_schemas.registry import Registry
    from event_schemas.registry_client import RegistryConnection

    try:
        connection = RegistryConnection(url)
        return Check("Schema Registry", connection.shown, tuple(foreign_faults(connection, Registry.bundled())))
    except TrimtabError as fault:
        return Check("Schema Registry", "see below", (fault,))
