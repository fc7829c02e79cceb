"""The entry point for a ranker's own process: one object that decides, confirms decisions, and logs engagements.

TrimtabError
└── NodeClosed   a node was started after it was closed
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, TypedDict, Unpack

import structlog
from prometheus_client import CollectorRegistry

from event_schemas.errors import TrimtabError
from event_schemas.experiment import Experiment
from event_schemas.records import HistoryItemRecord
from monitoring.metrics import ProducerMetrics
from monitoring.multiprocess_folder import require_multiprocess_folder
from policy_store.backends import RedisStore
from policy_store.records import TrustedKeys
from producers.delivery import DeliverySpool, KafkaDelivery
from serving_agent.decide import ContextValue, Decision, DecisionRequest, ServedWeights
from serving_agent.node import NodeConnections, ServingNode, ServingNodeConfig, build_node
from trimtab.decision_threads import DecisionThreads
from trimtab.node_naming import hold_name, nodes_folder, require_node_id, take_free_name
from trimtab.settings import Settings, load_settings

log = structlog.get_logger(__name__)
TRUST_FIX = "set TRIMTAB_TRUSTED_KEYS to the file that `trimtab policy keygen --out` wrote, and start it again"
CLOSE_SECONDS = 3
"""How long `close` waits for the node, and then for Kafka; events still unsent go to the spool."""


class NodeClosed(TrimtabError):
    """A node was started after it was closed."""


class RequestFields(TypedDict, total=False):
    """The fields of DecisionRequest, as keywords."""

    request_id: str | None
    user_id: str | None
    session_id: str | None
    cohort: str | None
    user_embedding: Sequence[float]
    context: Mapping[str, ContextValue]
    history: Sequence[HistoryItemRecord]
    eligible: Sequence[int]
    event_time: int | None
    previous: Sequence[ServedWeights] | None


class Node:
    """A serving node with its connections. Use it in three steps:

    1. `with Node.from_settings() as node:` once, when the ranker starts;
    2. `decision = node.decide(user_id=…)` for each request, then `decision.applied(…)` once its weights were used;
    3. `node.log_engagement(decision.request_id, "repin")` for what the user did.

    Safe across threads. In an event loop use `async with` and `decide_async`; `applied` and `log_engagement` do
    not block. Before `start` and after `close` a node decides without policies.
    """

    def __init__(self, serving: ServingNode, opened: ExitStack | None = None) -> None:
        """The node around `serving`, such as `build_node` makes; `opened` is closed after it."""
        self.serving = serving
        self._opened = ExitStack() if opened is None else opened
        self._threads = DecisionThreads()
        self._closed = False

    @classmethod
    def from_settings(
        cls,
        settings: Settings | None = None,
        *,
        node_id: str | None = None,
        kill_file: Path | None = None,
        killed: bool = False,
        registry: CollectorRegistry | None = None,
    ) -> Self:
        """A node on the Kafka and Redis of these settings, else of `TRIMTAB_*`; not started.

        Without `node_id` it takes the first free name of `<host name>`, `<host name>-2`, …; `kill_file` is
        `<data dir>/kill` unless given. Metrics go to `registry`, or nowhere. Kafka and Redis may be unavailable. Raises
        SettingError, ExperimentError, RecordMalformed for unusable trusted keys, SpoolError, and ComponentUnreachable
        for a Schema Registry that does not answer.
        """
        if registry is not None:
            require_multiprocess_folder()
        settings = load_settings() if settings is None else settings
        experiment = settings.load_experiment()
        trusted = TrustedKeys.parse(settings.trusted_keys_text())
        if not trusted.key_ids:
            log.warning("no key is trusted: this node serves production weights only", fix=TRUST_FIX)
        with ExitStack() as opened:
            name = _own_name(node_id, nodes_folder(settings, experiment), opened)
            config = ServingNodeConfig(
                experiment=experiment,
                trusted=trusted,
                node_id=name,
                topic_prefix=settings.topic_prefix,
                data_dir=nodes_folder(settings, experiment) / name,
                kill_file=settings.data_dir / "kill" if kill_file is None else kill_file,
                killed=killed or settings.killed,
            )
            connections = _connections(settings, experiment, name, registry, opened)
            return cls(build_node(config, connections, registry), opened.pop_all())

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        try:
            await asyncio.to_thread(self.start)
        except BaseException:  # cancelled, too
            await asyncio.to_thread(self.close)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.close)

    def start(self) -> None:
        """Read the store (waiting a few seconds at most) and follow it from then on; repeated calls do nothing.

        Raises NodeClosed after `close`.
        """
        if self._closed:
            raise NodeClosed(
                f"node {self.serving.config.node_id} was closed", fix="make another one with Node.from_settings()"
            )
        if not self.serving.started:
            self._follow_store()

    def _follow_store(self) -> None:
        self.serving.start()

    def close(self) -> None:
        """Flush logged events, spool those that Kafka does not accept in time, close connections; safe to repeat."""
        self._closed = True
        self._threads.close()
        with self._opened:
            self.serving.close(CLOSE_SECONDS)

    def decide(self, request: DecisionRequest | None = None, **fields: Unpack[RequestFields]) -> Decision:
        """The weights for a request, given as one object or by its fields (which replace the object's).

        Waits at most `serving.budget_ms` for a policy. Raises InvalidRequest for unusable input, and nothing else.
        """
        return self.serving.decide(_request(request, fields))

    async def decide_async(self, request: DecisionRequest | None = None, **fields: Unpack[RequestFields]) -> Decision:
        """See `decide`; the event loop goes on meanwhile. Waiting for other decisions is part of `serving.budget_ms`.

        If the caller is cancelled, its decision counts as never applied and enters no estimate.
        """
        return await self._threads.run(partial(self.serving.decide, _request(request, fields)))

    def log_engagement(
        self,
        request_id: str,
        kind: str,
        *,
        event_time: int | None = None,
        item_id: str | None = None,
        value: float = 1.0,
        engagement_id: str | None = None,
    ) -> str:
        """Log what a user did with what was served, and return the engagement's id; waits for nothing.

        `event_time` (epoch ms) is now unless given. See EngagementLogger.log.
        """
        return self.serving.engagements.log(
            request_id,
            kind,
            event_time=self.serving.config.clock() if event_time is None else event_time,
            item_id=item_id,
            value=value,
            engagement_id=engagement_id,
        )


def _request(request: DecisionRequest | None, fields: RequestFields) -> DecisionRequest:
    return DecisionRequest(**fields) if request is None else replace(request, **fields)


def _own_name(node_id: str | None, nodes: Path, opened: ExitStack) -> str:
    """The name that was given, else the first free one, which is given back with `opened`."""
    if node_id is not None:
        if (held := hold_name(nodes, require_node_id(node_id))) is not None:
            opened.callback(held.remove)
        return node_id
    name, lock = take_free_name(nodes, socket.gethostname())
    opened.callback(lock.remove)
    return name


def _connections(
    settings: Settings, experiment: Experiment, name: str, registry: CollectorRegistry | None, opened: ExitStack
) -> NodeConnections:
    """Kafka, with a spool, and Redis; closed with `opened`, Kafka first."""
    codec = settings.codec()
    store = RedisStore(settings.redis_url, experiment.name)
    opened.callback(store.close)
    nodes = nodes_folder(settings, experiment)
    spool = DeliverySpool(nodes / name / "spool", neighbours=nodes, topic_prefix=settings.topic_prefix)
    opened.callback(spool.close)
    metrics = None if registry is None else ProducerMetrics(registry)
    delivery = KafkaDelivery(settings.kafka_client_config(), metrics=metrics, spool=spool)
    opened.callback(delivery.close, CLOSE_SECONDS)
    return NodeConnections(store, delivery, codec)
