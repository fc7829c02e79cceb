"""A real Kafka broker that asks who its clients are (SASL_SSL, SCRAM) and what they may do (ACLs)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public, but re-exported without __all__
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from tests.components.certificates import write_certificates
from tests.components.kafka_broker import KafkaBroker

ADMIN = "admin"
MECHANISM = "SCRAM-SHA-512"
RESOURCES = {"topic": ResourceType.TOPIC, "group": ResourceType.GROUP, "cluster": ResourceType.BROKER}

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=SASL_SSL://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=SASL_SSL://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL
inter.broker.listener.name=SASL_SSL
sasl.enabled.mechanisms={mechanism}
sasl.mechanism.inter.broker.protocol={mechanism}
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required \
username="{admin}" password="{admin_password}";
ssl.keystore.type=PEM
ssl.keystore.location={server}
ssl.truststore.type=PEM
ssl.truststore.location={authority}
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:{admin};User:ANONYMOUS
allow.everyone.if.no.acl.found=false
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
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
"""


class SecuredBroker(KafkaBroker):
    """One broker with accounts for `users`; only `admin` has rights until others are granted some."""

    def __init__(self, directory: Path, users: Sequence[str]) -> None:
        super().__init__(directory)
        self._users = (ADMIN, *users)
        self._files = write_certificates(directory)

    @property
    def authority(self) -> Path:
        """The certificate authority that clients have to trust."""
        return self._files.authority

    @staticmethod
    def password(user: str) -> str:
        """The user's password."""
        return f"{user}-secret"

    def client_config(self, user: str) -> dict[str, str]:
        """librdkafka's settings for a client that authenticates as `user`."""
        return {
            "bootstrap.servers": self.bootstrap,
            "log_level": "0",
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": MECHANISM,
            "sasl.username": user,
            "sasl.password": self.password(user),
            "ssl.ca.location": str(self.authority),
        }

    def environment(self, user: str) -> dict[str, str]:
        """The `TRIMTAB_*` variables for a process that authenticates as `user`."""
        return {
            "TRIMTAB_KAFKA_BOOTSTRAP": self.bootstrap,
            "TRIMTAB_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "TRIMTAB_KAFKA_SASL_MECHANISM": MECHANISM,
            "TRIMTAB_KAFKA_SASL_USERNAME": user,
            "TRIMTAB_KAFKA_SASL_PASSWORD": self.password(user),
            "TRIMTAB_KAFKA_SSL_CA_LOCATION": str(self.authority),
        }

    def grant(self, user: str, operations: str, kind: str, name: str, *, prefixed: bool = True) -> None:
        """Allow `user` the `operations`, such as `"READ,DESCRIBE"`, on a `topic`, `group` or `cluster`.

        `prefixed` grants them on everything whose name begins with `name`.
        """
        for operation in operations.split(","):
            binding = AclBinding(
                RESOURCES[kind],
                name,
                ResourcePatternType.PREFIXED if prefixed else ResourcePatternType.LITERAL,
                f"User:{user}",
                "*",
                AclOperation[operation],
                AclPermissionType.ALLOW,
            )
            admin = self._admin()
            for answer in admin.create_acls([binding]).values():
                answer.result()

    def revoke(self, user: str, kind: str, name: str) -> None:
        """Revoke the rights of `user` on the `topic`, `group` or `cluster` with this name."""
        self._delete_rights(user, RESOURCES[kind], name)

    def revoke_all(self, user: str) -> None:
        """Revoke all rights of `user`."""
        self._delete_rights(user, ResourceType.ANY, None)

    def _delete_rights(self, user: str, kind: ResourceType, name: str | None) -> None:
        rights = AclBindingFilter(
            kind,
            name,  # type: ignore[arg-type]  # None is any name; the stub knows no wildcard
            ResourcePatternType.ANY,
            f"User:{user}",
            None,  # type: ignore[arg-type]  # any host
            AclOperation.ANY,
            AclPermissionType.ANY,
        )
        admin = self._admin()
        for answer in admin.delete_acls([rights]).values():
            answer.result()

    def _admin(self) -> AdminClient:
        return AdminClient(dict(self.client_config(ADMIN)))

    def _properties(self) -> str:
        return PROPERTIES.format(
            port=self._port,
            controller_port=self._controller_port,
            mechanism=MECHANISM,
            admin=ADMIN,
            admin_password=self.password(ADMIN),
            server=self._files.server,
            authority=self._files.authority,
            data=self._directory / "data",
        )

    def _format_options(self) -> list[str]:
        return [
            option
            for user in self._users
            for option in ("--add-scram", f"SCRAM-SHA-512=[name={user},password={self.password(user)}]")
        ]
