"""Settings of every process: `TRIMTAB_*` environment variables."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from event_schemas.codec import Codec
from event_schemas.errors import SettingError
from event_schemas.experiment import Experiment, load_experiment
from event_schemas.field_faults import field_faults
from event_schemas.schema_registry import load_registry
from event_schemas.topics import DEFAULT_PREFIX, Topic, topic_name
from trimtab.known_variables import require_known
from trimtab.setting_formats import require_text, server_list, topic_beginning

if TYPE_CHECKING:
    from producers.topics import TopicIdentities

PREFIX = "TRIMTAB_"
GREETING_MS = "6000"
"""A broker that has not answered a new connection by then counts as down; librdkafka's defaults are 10 s and 30 s."""
QUIET = "2"
"""At level 3 librdkafka logs every failed reconnection; our clients report the failures that matter themselves."""


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


Protocol = Annotated[Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"], BeforeValidator(_upper)]
Mechanism = Annotated[Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"], BeforeValidator(_upper)]


class Settings(BaseSettings):
    """One field per variable, named `TRIMTAB_` + the field name in capitals; an empty variable counts as unset."""

    model_config = SettingsConfigDict(env_prefix="TRIMTAB_", env_ignore_empty=True, frozen=True, extra="ignore")

    kafka_bootstrap: Annotated[str, AfterValidator(server_list)] = Field(
        default="127.0.0.1:9092", description="Kafka bootstrap servers, host:port[,host:port]."
    )
    topic_prefix: Annotated[str, AfterValidator(topic_beginning)] = Field(
        default=DEFAULT_PREFIX, description="Prefix of the four topics."
    )
    redis_url: str = Field(default="redis://127.0.0.1:6379/0", description="Redis of the policy store.")
    experiment: Path = Field(default=Path("trimtab.toml"), description="Path of the experiment file.")
    data_dir: Path = Field(
        default=Path("var"), description="Directory for this machine's segments, spools and snapshots."
    )
    signing_key: SecretStr | None = Field(
        default=None, description="`role/id=<raw Ed25519 private key, base64>`, or `@file` to read it from a file."
    )
    trusted_keys: str = Field(
        default="",
        description="Comma-separated `role/id=<raw public key, base64>`, or `@file` to read them from a file.",
    )
    schema_registry_url: str | None = Field(
        default=None,
        description="URL of a Confluent Schema Registry; if unset, the bundled schema ids are used. A start without an "
        "answer uses the ids of the last one, from the data directory.",
    )
    kafka_security_protocol: Protocol | None = Field(
        default=None,
        description="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL; required with SASL credentials or CA certificates.",
    )
    kafka_sasl_mechanism: Mechanism | None = Field(default=None, description="PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.")
    kafka_sasl_username: str | None = Field(default=None, description="SASL user.")
    kafka_sasl_password: SecretStr | None = Field(default=None, description="SASL password.")
    kafka_ssl_ca_location: Path | None = Field(
        default=None, description="File with the CA certificates that signed the brokers' certificates."
    )
    kafka_identity: str | None = Field(
        default=None,
        description="Id to use for all topics if the cluster assigns no topic ids; change it whenever the topics are "
        "created again. `trimtab broker` and the demo set it. If unset, Kafka is asked for each topic's id.",
    )
    kafka_compression: Literal["none", "gzip", "lz4", "snappy", "zstd"] | None = Field(
        default=None,
        description="Compression of produced records; except for none and gzip, the join needs the package cramjam.",
    )
    killed: bool = Field(
        default=False, description="Start a serving node killed: it serves production until restarted without this."
    )

    @model_validator(mode="after")
    def _credentials_go_over_what_they_were_given_for(self) -> Self:
        """Refuses credentials without a protocol: the client would ignore them and connect in plain text."""
        protocol = self.kafka_security_protocol or "PLAINTEXT"
        now = f"TRIMTAB_KAFKA_SECURITY_PROTOCOL is {self.kafka_security_protocol or 'not set'}"
        sasl = {
            "KAFKA_SASL_MECHANISM": self.kafka_sasl_mechanism,
            "KAFKA_SASL_USERNAME": self.kafka_sasl_username,
            "KAFKA_SASL_PASSWORD": self.kafka_sasl_password,
        }
        faults = []
        given = [PREFIX + name for name, value in sasl.items() if value is not None]
        if given and not protocol.startswith("SASL"):
            faults.append(
                (
                    f"{', '.join(given)} is set, but {now}",
                    "set TRIMTAB_KAFKA_SECURITY_PROTOCOL=SASL_SSL (or SASL_PLAINTEXT), or unset the SASL variables",
                )
            )
        missing = [PREFIX + name for name, value in sasl.items() if value is None]
        if missing and protocol.startswith("SASL"):
            fix = "set the mechanism (such as SCRAM-SHA-512), the user name and the password"
            faults.append((f"{now}, but {', '.join(missing)} is not set", fix))
        if self.kafka_ssl_ca_location is not None and not protocol.endswith("SSL"):
            fix = "set TRIMTAB_KAFKA_SECURITY_PROTOCOL=SSL or SASL_SSL, or unset TRIMTAB_KAFKA_SSL_CA_LOCATION"
            faults.append((f"TRIMTAB_KAFKA_SSL_CA_LOCATION is set, but {now}", fix))
        if faults:
            raise SettingError("; ".join(what for what, _ in faults), fix="; ".join(fix for _, fix in faults))
        return self

    def kafka_client_config(self) -> dict[str, str]:
        """Connection settings in librdkafka's names, for every Kafka client."""
        password = self.kafka_sasl_password.get_secret_value() if self.kafka_sasl_password else None
        named = {
            "bootstrap.servers": self.kafka_bootstrap,
            "log_level": QUIET,
            "socket.connection.setup.timeout.ms": GREETING_MS,
            "api.version.request.timeout.ms": GREETING_MS,
            "security.protocol": self.kafka_security_protocol,
            "sasl.mechanism": self.kafka_sasl_mechanism,
            "sasl.username": self.kafka_sasl_username,
            "sasl.password": password,
            "ssl.ca.location": str(self.kafka_ssl_ca_location) if self.kafka_ssl_ca_location else None,
            "compression.type": self.kafka_compression,
        }
        return {key: value for key, value in named.items() if value is not None}

    def topic_identities(self) -> TopicIdentities:
        """The ids that distinguish a topic from one created again under the same name; raises SettingError."""
        from producers.topics import topic_identities

        return topic_identities(self.kafka_client_config(), self.kafka_identity)

    def require_rights(self, reads: Iterable[str] = (), writes: Iterable[str] = (), group: str | None = None) -> None:
        """Raise RightMissing when this user may not read or write these topics (full names), or join this group.

        Raises ComponentUnreachable if Kafka does not answer. An embedded broker is not asked: it has no rights and
        does not answer such requests.
        """
        from producers.topics import Attempt, require_rights

        if self.kafka_identity is None:
            topics = [Attempt("Read", "topic", name) for name in reads]
            topics += [Attempt("Write", "topic", name) for name in writes]
            groups = [] if group is None else [Attempt("Read", "group", group)]
            require_rights(self.kafka_client_config(), topics, groups)

    def load_experiment(self) -> Experiment:
        """The experiment file; raises ExperimentError."""
        return load_experiment(self.experiment)

    def codec(self, *, reads_only: bool = False) -> Codec:
        """The codec with the configured registry; with `reads_only`, the registry is not changed.

        Raises what `load_registry` raises.
        """
        return Codec(load_registry(self.schema_registry_url, self.data_dir, reads_only=reads_only))

    def topic(self, topic: Topic) -> str:
        """Full name of a topic."""
        return topic_name(self.topic_prefix, topic)

    def signing_key_text(self, role: str) -> str:
        """The text of the signing key, read from a file if the setting is `@file`.

        Raises SettingError, which names `role`, the role of the key that is needed: learner or governance.
        """
        if self.signing_key is None:
            make = f"trimtab policy keygen --role {role} --id NAME --out keys/{role}"
            raise SettingError(
                f"TRIMTAB_SIGNING_KEY is not set, and this needs a {role} key to sign with",
                fix=f"set it to @FILE with a {role} key; `{make}` makes one",
            )
        return _inline("TRIMTAB_SIGNING_KEY", self.signing_key.get_secret_value())

    def trusted_keys_text(self) -> str:
        """The text of the trusted keys, read from a file if the setting is `@file`; raises SettingError."""
        return _inline("TRIMTAB_TRUSTED_KEYS", self.trusted_keys)


VARIABLES = frozenset(PREFIX + name.upper() for name in Settings.model_fields)


def require_usable(environment: Mapping[str, str] = os.environ) -> None:
    """Raise SettingError for a `TRIMTAB_*` variable that no setting uses or that is not UTF-8 text."""
    require_text(environment, PREFIX)
    require_known(environment, PREFIX, VARIABLES)


def load_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Settings from the environment; raises SettingError naming the variable, its value and the fix."""
    require_usable(environment)
    try:
        settings = Settings()
    except ValidationError as fault:
        raise _value_faults(fault)[0] from fault
    _require_readable("TRIMTAB_KAFKA_SSL_CA_LOCATION", settings.kafka_ssl_ca_location)
    return settings


def settings_with_faults(environment: Mapping[str, str] = os.environ) -> tuple[Settings | None, list[SettingError]]:
    """Everything that `load_settings` would raise, each after the one before is fixed, and what can be used so far.

    Settings are there even when a variable is misspelt; None when a value is wrong.
    """
    faults = []
    for name, value in sorted(environment.items()):
        try:
            require_usable({name: value})
        except SettingError as fault:
            faults.append(fault)
    try:
        settings = Settings()
        _require_readable("TRIMTAB_KAFKA_SSL_CA_LOCATION", settings.kafka_ssl_ca_location)
    except ValidationError as fault:
        return None, faults + _value_faults(fault)
    except SettingError as fault:
        return None, [*faults, fault]
    return settings, faults


def experiment_path() -> Path:
    """The path of the experiment file, even if other settings are wrong."""
    given = EnvSettingsSource(Settings)().get("experiment")
    return Path(given) if given else Settings.model_fields["experiment"].get_default()


def _value_faults(fault: ValidationError) -> list[SettingError]:
    faults = []
    for each in field_faults(fault.errors()):
        variable = PREFIX + each.field.upper()
        faults.append(SettingError(str(each._replace(field=variable)), fix=f"correct or unset {variable}"))
    return faults


def _require_readable(variable: str, file: Path | None) -> None:
    try:
        if file is not None:
            file.read_bytes()
    except OSError as fault:
        raise SettingError(
            f"{variable} = {file}: {fault.strerror}", fix="name a file that this user can read"
        ) from fault


def _inline(variable: str, text: str) -> str:
    if not text.startswith("@"):
        return text
    try:
        return Path(text[1:]).read_text(encoding="utf-8-sig").strip()
    except OSError as fault:
        raise SettingError(f"{variable} = {text}: {fault.strerror}", fix="name an existing file after the @") from fault
    except UnicodeDecodeError as fault:
        raise SettingError(
            f"{variable} = {text}: is not text", fix="name a file with the line `role/id=<base64>`"
        ) from fault
