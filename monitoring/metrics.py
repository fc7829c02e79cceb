"""Every metric of the system, grouped by the stage that owns it.

Each group registers itself in the registry it is given, so that tests and several nodes in one process do not clash.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from monitoring.metric_group import MetricGroup

DECISION_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25)
WRITE_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class ProducerMetrics(MetricGroup):
    """Events handed to producers and their fates: acknowledged, spooled or dropped."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self.events = Counter(
            "trimtab_producer_events_total",
            "Events by record and fate: handed_in = acknowledged + spooled + dropped. Spooled events also count as "
            "resent (acknowledged later), refused (Kafka will never accept them), set_aside (refused for an hour), "
            "damaged (no longer readable) or adopted (from the spool of a dead process).",
            ["record", "fate"],
            registry=registry,
        )
        self.delivering = Gauge(
            "trimtab_producer_delivering",
            "0 while Kafka refuses events, for example because a right or a topic is missing; 1 otherwise, also while "
            "it does not answer.",
            registry=registry,
        )
        self.delivering.set(1)
        self.refused_destinations = Gauge(
            "trimtab_producer_refused_destinations",
            "Topics and partitions for which Kafka refuses spooled events; after an hour these events are set aside.",
            registry=registry,
        )

    def after_fork(self) -> None:
        """See MetricGroup; the child has sent nothing, so nothing of its own has been refused."""
        super().after_fork()
        self.delivering.set(1)
        self.refused_destinations.set(0)


class BridgeMetrics(MetricGroup):
    """The bridge from source topics to engagements."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self.events = Counter(
            "trimtab_bridge_events_total",
            "Source records by fate (bridged, unsampled, ignored, dead_letter), counted once their outputs are "
            "confirmed.",
            ["fate"],
            registry=registry,
        )
        self.lag = Gauge(
            "trimtab_bridge_lag",
            "Records between the last one confirmed and the end of the source, by topic and partition.",
            ["topic", "partition"],
            registry=registry,
        )


class JoinMetrics(MetricGroup):
    """The join of events into examples."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self.events = Counter("trimtab_join_events_total", "Input events by final fate.", ["fate"], registry=registry)
        self.outside = Counter(
            "trimtab_join_outside_total",
            "Engagements of the fate outside, by why they count for no objective (unknown_kind, "
            "before_request, too_late).",
            ["reason"],
            registry=registry,
        )
        self.examples = Counter("trimtab_join_examples_total", "Examples written.", registry=registry)
        self.pending = Gauge(
            "trimtab_join_pending_requests", "Decisions still open, by partition.", ["partition"], registry=registry
        )
        self.watermark = Gauge(
            "trimtab_join_watermark_timestamp_seconds",
            "Largest event time seen, by partition.",
            ["partition"],
            registry=registry,
        )
        self.processed_lag = Gauge(
            "trimtab_join_processed_lag",
            "Records between the last one processed and the end of the log, by partition.",
            ["partition"],
            registry=registry,
        )
        self.committed_lag = Gauge(
            "trimtab_join_committed_lag",
            "Records between the committed offset, where a restart begins to rebuild, and the end of the log, "
            "by partition; by design about as many as arrive within one window.",
            ["partition"],
            registry=registry,
        )
        self.rebuild_records = Gauge(
            "trimtab_join_rebuild_records",
            "Records that a restarted worker must still re-read before it emits results again, by partition; normally "
            "0.",
            ["partition"],
            registry=registry,
        )
        self.unread_partitions = Gauge(
            "trimtab_join_unread_partitions",
            "Partitions that were added to the events topic and that the group does not read; normally 0.",
            registry=registry,
        )
        self.outstanding = Gauge(
            "trimtab_join_outstanding_outputs",
            "Examples, dead letters and heartbeats handed to Kafka and not yet confirmed.",
            registry=registry,
        )
        self.write_seconds = Histogram(
            "trimtab_join_write_seconds",
            "Time from joining a chunk to the first confirmation of its outputs.",
            buckets=WRITE_BUCKETS,
            registry=registry,
        )


class SupervisorMetrics(MetricGroup):
    """The supervisor of `trimtab join --workers N`, on its own port."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self.running = Gauge("trimtab_join_workers_running", "Running worker processes.", registry=registry)
        self.restarts = Counter(
            "trimtab_join_worker_restarts_total",
            "Restarts of failed workers, by worker number.",
            ["worker"],
            registry=registry,
        )


class LearnerMetrics(MetricGroup):
    """Ingest, training, evaluation and gate."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self.ingested = Counter(
            "trimtab_learner_ingested_total",
            "Example records read, by fate (stored, duplicate, expired, forgotten, malformed).",
            ["fate"],
            registry=registry,
        )
        self.window_examples = Gauge(
            "trimtab_learner_window_examples", "Examples in the rolling window.", ["split"], registry=registry
        )
        self.left_out = Gauge(
            "trimtab_learner_left_out_examples",
            "Stored examples that the last run did not use, by reason (not_explored, other_action_space, closed_early, "
            "outside_window, embargo, heavy_units, missing_features, absurd_features).",
            ["reason"],
            registry=registry,
        )
        self.left_out_tallies = Gauge(
            "trimtab_learner_left_out_tallies",
            "Records of the tallies topic that the last run ignored, by reason (unreadable, absurd).",
            ["reason"],
            registry=registry,
        )
        self.left_out_explorations = Gauge(
            "trimtab_learner_left_out_explorations",
            "Records of the explorations topic that the last run could not read.",
            registry=registry,
        )
        self.lease_held = Gauge(
            "trimtab_learner_lease_held",
            "Whether this learner has the lease (1) and so trains and publishes, or only ingests (0).",
            registry=registry,
        )
        self.failed_runs = Counter(
            "trimtab_learner_failed_runs_total",
            "Failed runs, by kind of error; the service starts the next run on schedule.",
            ["error"],
            registry=registry,
        )
        self.ingest_failures = Counter(
            "trimtab_learner_ingest_failures_total",
            "Failed attempts to ingest examples, by kind of error; each is retried.",
            ["error"],
            registry=registry,
        )
        self.last_success = Gauge(
            "trimtab_learner_last_success_timestamp_seconds", "When the last successful run ended.", registry=registry
        )
        self.gate = Counter(
            "trimtab_learner_gate_total", "Gate verdicts by first reason.", ["verdict", "reason"], registry=registry
        )
        self.lift = Gauge(
            "trimtab_learner_lift",
            "Relative lift of the newest checkpoint's policy over the baseline on its judging half, for objectives and"
            " guardrails: lower bound, point and upper bound. Absent where it is undefined.",
            ["objective", "part"],
            registry=registry,
        )
        self.propensity_pvalue = Gauge(
            "trimtab_propensity_check_pvalue",
            "P-value of the check of the log: of its draws, exploration rates and counts; unsound below 0.0001.",
            registry=registry,
        )


class ServingMetrics(MetricGroup):
    """Decisions of a serving node and the policy it serves."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self.decisions = Counter(
            "trimtab_serving_decisions_total",
            "Decisions by slice and fallback reason (empty unless FALLBACK).",
            ["slice", "reason"],
            registry=registry,
        )
        self.undeclared_cohorts = Counter(
            "trimtab_serving_undeclared_cohorts_total",
            "Requests with a cohort that the experiment does not declare; they get the default preference.",
            registry=registry,
        )
        self.large_units = Counter(
            "trimtab_serving_large_units_total",
            "With exploration_unit = 'session': sessions that made more than 0.1 % of 100,000 decisions of this node, "
            "each counted once in them; normally 0.",
            registry=registry,
        )
        self.decision_seconds = Histogram(
            "trimtab_serving_decision_seconds", "Time per decision.", buckets=DECISION_BUCKETS, registry=registry
        )
        self.policy_info = Gauge(
            "trimtab_serving_policy_info", "1 for each checkpoint in use.", ["version", "channel"], registry=registry
        )
        self.policy_age = Gauge(
            "trimtab_serving_policy_age_seconds", "Age of the stable checkpoint in use.", registry=registry
        )
        self.config_revision = Gauge(
            "trimtab_serving_config_revision", "Revision of the preference record in force.", registry=registry
        )
        self.pickups = Counter(
            "trimtab_serving_pickups_total",
            "Checkpoint pick-ups by channel and result.",
            ["channel", "result"],
            registry=registry,
        )
        self.exploration_rate = Gauge(
            "trimtab_serving_exploration_rate",
            "Exploration rate of the last decision, lowered by a cap and 0 while killed.",
            registry=registry,
        )
        self.exploration_share = Gauge(
            "trimtab_serving_exploration_share",
            "Share of experiment.exploration_cap that this node may use; 0 without a cap.",
            registry=registry,
        )
        self.node_id_shared = Gauge(
            "trimtab_serving_node_id_shared",
            "1 while another live process sends heartbeats under this node's id; normally 0.",
            registry=registry,
        )


class DriftMetrics(MetricGroup):
    """Distribution shift of head predictions, measured by the last check."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self.statistic = Gauge(
            "trimtab_drift_statistic", "Population stability index against the reference.", ["head"], registry=registry
        )
        self.alarm = Gauge("trimtab_drift_alarm", "1 while the head counts as drifted.", ["head"], registry=registry)
