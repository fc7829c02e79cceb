"""The Faust application of a join worker: its settings and its transport. It contains no join logic."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import cast

import faust
from faust.app.base import BootStrategy
from faust.auth import Credentials
from faust.types import TopicT, TransportT

from stream_processors.worker.batch_transport import BatchConsumer, BatchTransport, PassThroughSchema
from stream_processors.worker.record_chunk import PartitionOwner
from stream_processors.worker.worker_settings import WorkerSettings

REQUEST_SECONDS = 40.0


class ConsumeOnly(BootStrategy):
    """Disables Faust's own producer; `ExampleWriter` writes the outputs and tracks the confirmation of each."""

    enable_kafka_producer = False
    enable_web = False


class JoinApp(faust.App):
    """Reads `settings.events` in chunks; `owner` decides where reading starts and what is committed."""

    BootStrategy = ConsumeOnly

    def __init__(self, settings: WorkerSettings, owner: PartitionOwner) -> None:
        self._owner = owner
        servers = settings.client_config["bootstrap.servers"].split(",")
        super().__init__(
            settings.group,
            broker=[f"kafka://{server.strip()}" for server in servers],
            broker_credentials=credentials(settings.client_config),
            broker_client_id=settings.group,
            broker_commit_interval=settings.commit_seconds,
            broker_session_timeout=settings.session_seconds,
            broker_heartbeat_interval=min(3.0, settings.session_seconds / 3),
            broker_request_timeout=REQUEST_SECONDS,
            processing_guarantee="at_least_once",
            # Without a commit the owner explicitly starts at the log's first offset; reading never skips records.
            consumer_auto_offset_reset="none",
            stream_buffer_maxsize=settings.buffered_chunks,
            stream_wait_empty=False,
            # 0 would select another assignor, which distributes the partitions of one key over several workers.
            table_standby_replicas=1,
            topic_allow_declare=False,
            topic_disable_leader=True,
            web_enabled=False,
            autodiscover=False,
            worker_redirect_stdouts=False,
        )

    def events(self, settings: WorkerSettings) -> TopicT:
        """The topic to read, as chunks; Faust's acknowledgements are not used."""
        return self.topic(settings.events, schema=PassThroughSchema(), acks=False)

    def known_partitions(self, topic: str) -> int:
        """How many partitions of the topic the group knows of."""
        return cast(BatchConsumer, self.consumer).known_partitions(topic)

    async def check_group(self) -> None:
        """Raise the aiokafka error that permanently keeps this worker out of its group, if there is one."""
        await cast(BatchConsumer, self.consumer).check_group()

    def _new_transport(self) -> TransportT:
        return BatchTransport(self.conf.broker_consumer, self, self._owner)

    def _create_directories(self) -> None:
        """Creates none: the join keeps nothing on disk, because its state is rebuilt from the log."""


def credentials(client_config: Mapping[str, str]) -> Credentials | None:
    """librdkafka's `security.protocol`, `sasl.*` and `ssl.ca.location`, converted to Faust's credentials."""
    protocol = client_config.get("security.protocol", "PLAINTEXT").upper()
    context = None
    if protocol.endswith("SSL"):
        context = ssl.create_default_context(cafile=client_config.get("ssl.ca.location"))
    if protocol.startswith("SASL"):
        return faust.SASLCredentials(
            mechanism=client_config.get("sasl.mechanism", "PLAIN"),
            username=client_config.get("sasl.username"),
            password=client_config.get("sasl.password"),
            ssl_context=context,
        )
    return None if context is None else faust.SSLCredentials(context)
