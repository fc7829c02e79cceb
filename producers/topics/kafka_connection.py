"""Turns a Kafka client's error into one that tells the operator what to fix.

A client whose connection fails only reports "transport failure" to the caller that waits for an answer. The reason goes
to the client's error callback. `ConnectionFaults` is such a callback, and `explained` combines the two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException

from event_schemas.errors import (
    CertificateRefused,
    ComponentUnreachable,
    CredentialsRefused,
    RightMissing,
    SettingError,
    TrimtabError,
)
from event_schemas.shown_text import cut
from producers.topics.kafka_refusals import CREDENTIALS, GROUP_RIGHT, RIGHTS, TOPIC_ABSENT, refuses_client

LONGEST_REASON = 300
CREATE_TOPICS = "create the topics with `trimtab topics create`"
REASONS = (
    KafkaError._RESOLVE,
    KafkaError._TRANSPORT,
    KafkaError._SSL,
    KafkaError._AUTHENTICATION,
    KafkaError._BAD_MSG,
)
"""Codes of faults that say why a connection failed."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What was attempted: a Kafka operation such as `Read` on the `topic` or `group` of this name."""

    operation: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.operation} {self.kind} {self.name}".rstrip()


class ConnectionFaults:
    """A client's `error_cb`: remembers why its connections failed. The client calls it while it is polled."""

    def __init__(self) -> None:
        self._newest: dict[int, str] = {}

    def __call__(self, fault: KafkaError) -> None:
        """Notes a fault."""
        self._newest[fault.code()] = fault.str()

    @property
    def is_refused(self) -> bool:
        """Whether a broker refused this client, or a certificate was not trusted: waiting longer does not help."""
        return any(refuses_client(code, text) for code, text in self._newest.items())

    @property
    def codes(self) -> frozenset[int]:
        """The codes of the faults noted."""
        return frozenset(self._newest)

    def cause(self, *codes: int) -> str | None:
        """The newest text noted for the first of these codes that has one; None when none has."""
        return next((self._newest[code] for code in codes if code in self._newest), None)


def explained(
    fault: KafkaError,
    client_config: Mapping[str, Any],
    attempt: Attempt,
    faults: ConnectionFaults | None = None,
) -> TrimtabError:
    """The error to raise for `fault`, which a client with `client_config` (librdkafka's names) met in `attempt`.

    CertificateRefused, CredentialsRefused, RightMissing or ComponentUnreachable. If the broker itself names a missing
    right, for instance on a group, the error names that one instead of the one attempted.
    """
    noted = faults or ConnectionFaults()
    if fault.code() in RIGHTS:
        return right_missing(client_config, _refused(fault.code(), client_config, attempt))
    for code in RIGHTS:
        if noted.cause(code) is not None:
            return right_missing(client_config, _refused(code, client_config, attempt))
    return unreachable(client_config, attempt, fault.str(), noted)


def unreachable(
    client_config: Mapping[str, Any], attempt: Attempt, said: str, faults: ConnectionFaults
) -> ComponentUnreachable:
    """The error for a broker that gave no answer, as specific as the client's faults allow."""
    where = f"Kafka at {client_config.get('bootstrap.servers', '?')}"
    if (certificate := faults.cause(KafkaError._SSL)) is not None:
        return CertificateRefused(
            f"{where}: TLS fails: {cut(certificate, LONGEST_REASON)}",
            fix="set TRIMTAB_KAFKA_SSL_CA_LOCATION to the authority that signed the brokers' certificates, and"
            " TRIMTAB_KAFKA_BOOTSTRAP to the host names in the certificates",
        )
    if (password := faults.cause(*CREDENTIALS)) is not None:
        user = client_config.get("sasl.username", "?")
        return CredentialsRefused(
            f"{where} refuses user {user!r}: {cut(password, LONGEST_REASON)}",
            fix="check TRIMTAB_KAFKA_SASL_USERNAME, TRIMTAB_KAFKA_SASL_PASSWORD and TRIMTAB_KAFKA_SASL_MECHANISM",
        )
    if (strange := faults.cause(KafkaError._BAD_MSG)) is not None:
        return ComponentUnreachable(
            f"{where} does not answer as Kafka does ({attempt}): {cut(strange, LONGEST_REASON)}",
            fix="set TRIMTAB_KAFKA_BOOTSTRAP to where a broker listens",
        )
    reason = faults.cause(KafkaError._RESOLVE, KafkaError._TRANSPORT)
    if reason is None and faults.cause(KafkaError._ALL_BROKERS_DOWN) is not None:
        protocol = client_config.get("security.protocol", "PLAINTEXT")
        return ComponentUnreachable(
            f"{where} closes the connections of this client, which speaks {protocol}, or does not answer on them"
            f" ({attempt})",
            fix="check that the broker is healthy; if it is, set TRIMTAB_KAFKA_SECURITY_PROTOCOL to the protocol of"
            " this listener, or name another listener",
        )
    return ComponentUnreachable(
        f"{where} does not answer ({attempt}): {cut(reason or said, LONGEST_REASON)}",
        fix="start the broker, or set TRIMTAB_KAFKA_BOOTSTRAP to where it listens",
    )


@contextmanager
def creating_client() -> Iterator[None]:
    """Wraps the creation of a client: settings that it rejects become a SettingError."""
    try:
        yield
    except (KafkaException, ValueError, TypeError) as refused:
        first = refused.args[0] if refused.args else refused
        text = first.str() if isinstance(first, KafkaError) else str(first)
        raise SettingError(
            f"the Kafka client refuses its settings: {cut(text, LONGEST_REASON)}",
            fix="correct TRIMTAB_KAFKA_BOOTSTRAP or the other TRIMTAB_KAFKA_* variables",
        ) from refused


@contextmanager
def asking(
    client_config: Mapping[str, Any],
    attempt: Attempt,
    faults: ConnectionFaults,
    serve: Callable[[], object] = lambda: None,
) -> Iterator[None]:
    """Wraps a request to the broker: a KafkaException becomes the error that `explained` returns.

    `serve` polls the client once, without waiting, so that it reports its connection faults.
    """
    try:
        yield
    except KafkaException as fault:
        serve()
        raise explained(fault.args[0], client_config, attempt, faults) from fault


def unwritten(fault: KafkaError, client_config: Mapping[str, Any], topic: str, fix: str) -> tuple[str, str]:
    """The message and the fix for a record that `topic` did not accept.

    `fix` is used unless a right or the topic is missing.
    A user who may write to no topic is refused as a producer, with a cluster right, before any topic is named.
    """
    if fault.code() in RIGHTS:
        missing = right_missing(client_config, Attempt("Write", "topic", topic))
        return missing.what, missing.fix
    if fault.code() in TOPIC_ABSENT:
        return f"topic {topic} does not exist", CREATE_TOPICS
    return f"{topic} did not accept a record: {fault.str()}", fix


def right_missing(client_config: Mapping[str, Any], attempt: Attempt) -> RightMissing:
    """The error for a user who may not do what was attempted, with the command that grants it."""
    user = client_config.get("sasl.username", "ANONYMOUS")
    option = {"topic": "--topic", "group": "--group"}.get(attempt.kind)
    place = "--cluster" if option is None else f"{option} {attempt.name}"
    return RightMissing(
        f"Kafka user {user!r} may not {attempt}",
        fix=f"grant it: kafka-acls --add --allow-principal User:{user} --operation {attempt.operation} {place}",
    )


def _refused(code: int, client_config: Mapping[str, Any], attempt: Attempt) -> Attempt:
    """What the user may not do. A consumer without the right to its group is refused before it reads a topic."""
    if code == GROUP_RIGHT and attempt.kind != "group":
        return Attempt("Read", "group", str(client_config.get("group.id", "?")))
    return attempt
