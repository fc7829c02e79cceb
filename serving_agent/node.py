"""One serving node: agent, loggers, refresher and kill switch wired together, for the sidecar and in-process users."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry

from event_schemas.codec import Codec
from event_schemas.experiment import Experiment
from event_schemas.instant import wall_clock_ms
from event_schemas.topics import DEFAULT_PREFIX, EVENTS, EXPLORATIONS, TALLIES, topic_name
from feature_contract import known_contracts
from monitoring.metrics import DriftMetrics, ServingMetrics
from policy_store.backends import PolicyStore
from policy_store.decisions import Approval, TrustRule
from policy_store.records import TrustedKeys
from producers.delivery import EventSender, expect_topics, fault_of, spool_fault_of
from producers.loggers import DecisionLogger, EngagementLogger, ExplorationPlan, TallyPlan
from serving_agent.decide.decision import Decision
from serving_agent.decide.decision_request import DecisionRequest
from serving_agent.decide.exploration_cap import shares_worth
from serving_agent.decide.policy_agent import AgentOptions, PolicyAgent
from serving_agent.decide.recent_traffic import HEAD_VALUES, RecentTraffic
from serving_agent.decide.snapshot import ServingSnapshot
from serving_agent.pickup.checkpoint_pickup import CheckpointPickup
from serving_agent.pickup.drift_check import DriftCheck
from serving_agent.pickup.fleet_share import FleetShare, ShareBounds
from serving_agent.pickup.kill_switch import KillSwitch
from serving_agent.pickup.node_heartbeat import heartbeat_lifetime_ms, new_instance
from serving_agent.pickup.node_report import NodeReport
from serving_agent.pickup.raised_rates import RaisedRates
from serving_agent.pickup.refresher import RefresherOptions, SnapshotRefresher
from serving_agent.pickup.snapshot_disk import SnapshotDisk


@dataclass(frozen=True, slots=True)
class ServingNodeConfig:
    """The configuration of one node.

    data_dir        where the last good snapshot is kept; None: it is not kept
    kill_file       while this file exists, the node serves production weights and explores nothing
    killed          stay killed until the process ends, whatever the kill file and the store say
    log_on_decide   see AgentOptions
    clock           gives epoch ms, for the times of requests, for heartbeats and for expiry
    timer           gives seconds of a monotonic clock, for time limits and the exploration cap
    """

    experiment: Experiment
    trusted: TrustedKeys
    node_id: str = "node"
    topic_prefix: str = DEFAULT_PREFIX
    data_dir: Path | None = None
    kill_file: Path | None = None
    killed: bool = False
    log_on_decide: bool = False
    clock: Callable[[], int] = wall_clock_ms
    timer: Callable[[], float] = time.perf_counter


@dataclass(frozen=True, slots=True)
class NodeConnections:
    """The connections of a node; their owner opens and closes them."""

    store: PolicyStore
    sender: EventSender
    codec: Codec


class ServingNode:
    """A node. It decides as soon as it is built, with production weights, and with policies once it is started."""

    def __init__(
        self, config: ServingNodeConfig, connections: NodeConnections, registry: CollectorRegistry | None = None
    ) -> None:
        """Metrics go to `registry`, or nowhere if it is None; two nodes in one process need two registries."""
        self.config = config
        self._kill_switch = KillSwitch(config.kill_file, initially=config.killed)
        self._metrics = None if registry is None else ServingMetrics(registry)
        # Not in the config: two nodes may be built from one, in one process or in its forked children.
        self._instance = new_instance()
        self._share = _fleet_share(config)
        self.decisions = _decision_logger(config, connections, self._instance)
        explorations = topic_name(config.topic_prefix, EXPLORATIONS)
        self._raised_rates = RaisedRates(self.decisions, explorations, config.experiment.exploration)
        events = topic_name(config.topic_prefix, EVENTS)
        self.engagements = EngagementLogger(
            connections.codec,
            connections.sender,
            events,
            kinds=config.experiment.kinds,
            clock=config.clock,
            max_ahead_ms=config.experiment.max_ahead_ms,
        )
        recent = RecentTraffic(max(HEAD_VALUES, config.experiment.serving.min_drift_samples))
        drift = DriftCheck(config.experiment, recent, None if registry is None else DriftMetrics(registry))
        self.refresher = SnapshotRefresher(
            config.experiment,
            connections.store,
            _trust_rule(config),
            CheckpointPickup(config.experiment, drift),
            recent,
            self._refresher_options(),
        )
        self.agent = PolicyAgent(config.experiment, self.decisions, self.refresher, recent, self._agent_options())
        self._sender = connections.sender
        # Not `explorations`: a node without that topic decides and logs as well as any other.
        expect_topics(self._sender, events, topic_name(config.topic_prefix, TALLIES))
        self.started = False

    @property
    def snapshot(self) -> ServingSnapshot:
        """The snapshot in force."""
        return self.refresher.current

    def start(self) -> None:
        """Fetches the first snapshot (a dead store costs at most a few seconds), then keeps following the store."""
        self._kill_switch.start()
        self.refresher.start()
        self.started = True

    def decide(self, request: DecisionRequest, waited_s: float = 0.0) -> Decision:
        """See PolicyAgent.decide."""
        return self.agent.decide(request, waited_s)

    def report(self) -> NodeReport:
        """The node's current report."""
        return self.refresher.report()

    def unready(self) -> list[str]:
        """Why this node should get no traffic: it has not tried to read the store yet, or Kafka refuses its events.

        A broker or store that does not answer is no reason: it affects every node, and decisions continue without it.
        """
        reasons = [] if self.started else ["the policy store has not been read yet"]
        fault = fault_of(self._sender)
        return reasons if fault is None else [*reasons, f"events are not delivered: {fault}"]

    def close(self, timeout_s: float = 5.0) -> None:
        """Stops following the store, and flushes the loggers for about `timeout_s`; the connections stay open."""
        self.refresher.close()
        self._kill_switch.close()
        self.agent.close()
        self.decisions.close(timeout_s / 2)
        self.engagements.close(timeout_s / 2)

    def _agent_options(self) -> AgentOptions:
        return AgentOptions(
            log_on_decide=self.config.log_on_decide,
            killed=lambda: self._kill_switch.pulled,
            clock=self.config.clock,
            timer=self.config.timer,
            metrics=self._metrics,
            exploration_share=None if self._share is None else self._share.in_force,
        )

    def _refresher_options(self) -> RefresherOptions:
        folder = self.config.data_dir
        return RefresherOptions(
            node_id=self.config.node_id,
            instance=self._instance,
            disk=None if folder is None else SnapshotDisk(folder),
            metrics=self._metrics,
            share=self._share,
            clock=self.config.clock,
            decisions=self.decisions.decisions_by_slice,
            kill_file=lambda: self._kill_switch.pulled,
            delivery_fault=lambda: fault_of(self._sender),
            spool_fault=lambda: spool_fault_of(self._sender),
            raise_log_rates=self._raised_rates.tell,
        )


def build_node(
    config: ServingNodeConfig, connections: NodeConnections, registry: CollectorRegistry | None = None
) -> ServingNode:
    """A node ready to `start()`."""
    return ServingNode(config, connections, registry)


def _decision_logger(config: ServingNodeConfig, connections: NodeConnections, instance: str) -> DecisionLogger:
    tallies = topic_name(config.topic_prefix, TALLIES)
    logger = DecisionLogger(
        connections.codec,
        connections.sender,
        topic_name(config.topic_prefix, EVENTS),
        # Its counts start at zero with the process, so each run of a node is a separate source, and so are two nodes
        # that were given one id.
        tally=TallyPlan(tallies, f"{config.node_id}.{config.clock()}.{instance}"),
        clock=config.clock,
    )
    explorations = topic_name(config.topic_prefix, EXPLORATIONS)
    logger.tell_exploration(ExplorationPlan(explorations, config.experiment.exploration))
    return logger


def _fleet_share(config: ServingNodeConfig) -> FleetShare | None:
    """The node's share of `experiment.exploration_cap`; None without a cap."""
    cap, serving = config.experiment.experiment.exploration_cap, config.experiment.serving
    if cap is None:
        return None
    bounds = ShareBounds(serving.most_nodes, shares_worth(cap), heartbeat_lifetime_ms(serving.heartbeat) / 1_000.0)
    return FleetShare(bounds, config.timer)


def _trust_rule(config: ServingNodeConfig) -> TrustRule:
    experiment = config.experiment
    return TrustRule(
        trusted=config.trusted,
        experiment=experiment.name,
        action_space=experiment.action_space.digest,
        approval=Approval(experiment.gate.approval),
        feature_contracts=frozenset(known_contracts(experiment)),
    )
