"""`trimtab learn`: trains a checkpoint on the examples and evaluates it."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import structlog
import typer

from event_schemas.codec import Codec
from event_schemas.duration import duration_option
from event_schemas.errors import ComponentUnreachable, RightMissing, SettingError
from event_schemas.experiment import Experiment
from event_schemas.instant import parse_instant, utc_text, wall_clock_ms
from event_schemas.topics import DEAD_LETTERS, EXAMPLES, EXPLORATIONS, TALLIES
from trimtab.learner_progress import run_progress
from trimtab.next_step import GOVERNED, say_next
from trimtab.settings import Settings, load_settings
from trimtab.stop_flag import StopFlag

if TYPE_CHECKING:
    from learner.checkpoints import CheckpointShelf, Publisher, ServingCheckpoint
    from learner.examples import ExplorationShelf, KeptExplorations, SliceTallies
    from learner.learner_run import RunObserver, RunReport
    from learner.learner_service import LearnerService
    from monitoring.metrics import LearnerMetrics
    from policy_store.backends import PolicyStore
    from policy_store.records import ObjectiveWeights

WAIT_S = 900.0
"""How long `--wait-examples` waits."""
FRESH_SHARE = 4
"""What a channel points to is renewed this many times within its lifetime."""
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Order:
    """The command-line options; `not_after` is the latest request time (epoch ms) to learn from."""

    every_ms: int
    publish: bool
    metrics_port: int
    reread: bool
    not_after: int | None


def learn(  # noqa: PLR0913  one parameter for each option
    once: Annotated[bool, typer.Option("--once", help="Run once over what is in the log now, then exit.")] = False,
    wait_examples: Annotated[int, typer.Option(min=0, help="Before the first run, wait for this many examples.")] = 0,
    every: Annotated[str, typer.Option(help="Time between runs.")] = "1h",
    no_publish: Annotated[bool, typer.Option("--no-publish", help="Keep the checkpoint on this machine.")] = False,
    metrics_port: Annotated[int, typer.Option(min=0, help="Serve Prometheus metrics on this port; 0 = off.")] = 0,
    reread: Annotated[
        bool,
        typer.Option(
            "--reread", help="Set damaged files aside and read the topic again from its first record; use once."
        ),
    ] = False,
    not_after: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="With --once --reread: skip examples whose request is later than this ISO 8601 time.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print each run's report as one line of JSON.")] = False,
) -> None:
    """Ingest examples, train, evaluate on held-out days, and publish as far as the verdict allows.

    A run continues training from this machine's newest checkpoint where possible. Training uses one core unless
    OMP_NUM_THREADS is higher. Of several learners of an experiment one has the lease; the others only ingest.

    Example: trimtab learn --once --wait-examples 8000
    """
    from monitoring.multiprocess_folder import require_multiprocess_folder
    from trimtab.process_log import log_to_stderr

    log_to_stderr()
    require_multiprocess_folder()
    settings = load_settings()
    if not_after is not None and not (once and reread):
        raise SettingError(
            "--not-after without --once and --reread would leave out examples for as long as the learner runs",
            fix="give all three, once: trimtab learn --once --reread --not-after TIME",
        )
    latest = None if not_after is None else parse_instant(not_after, "--not-after")
    order = _Order(duration_option(every, "--every"), not no_publish, metrics_port, reread, latest)
    greeting = _greet_broker(settings)
    import torch  # takes seconds, in which the broker answers

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or 1))
    stop = StopFlag()
    with ExitStack() as stack:
        show = stack.enter_context(run_progress())
        service = stack.enter_context(_service(settings, show, order))
        _take_greeting(greeting, must_answer=once and not wait_examples)
        if wait_examples:
            service.wait_for(wait_examples, WAIT_S, stop)
        if once:
            service.catch_up()
            _print(service.once(), as_json)
            return
        stop.listen()
        with closing(service.forever(stop)) as reports:
            for report in reports:
                _print(report, as_json)


def register(app: typer.Typer) -> None:
    """Adds `trimtab learn`."""
    app.command("learn")(learn)


def _greet_broker(settings: Settings) -> Future[None]:
    """Ask the broker for the rights that ingesting needs, on a thread that does not delay the exit of the process."""
    reads = [settings.topic(topic) for topic in (EXAMPLES, TALLIES)]
    greeting: Future[None] = Future()

    def ask() -> None:
        try:
            settings.require_rights(reads, [settings.topic(DEAD_LETTERS)])
        except Exception as fault:
            greeting.set_exception(fault)
        else:
            greeting.set_result(None)

    threading.Thread(target=ask, name="trimtab-greeting", daemon=True).start()
    return greeting


def _take_greeting(greeting: Future[None], *, must_answer: bool) -> None:
    """Raise RightMissing, and ComponentUnreachable where nothing else would wait for the broker."""
    try:
        greeting.result()
    except ComponentUnreachable as fault:
        if must_answer:
            raise
        log.warning("no broker yet", fault=fault.what, fix=fault.fix)


@contextmanager
def _service(settings: Settings, observer: RunObserver, order: _Order) -> Iterator[LearnerService]:
    """The learner, wired to Kafka, the data directory and the policy store."""
    from prometheus_client import CollectorRegistry

    from learner.canary_step import CanaryStep
    from learner.checkpoints import CHECKPOINTS_FOLDER, CheckpointShelf, learner_directory
    from learner.examples import (
        EXAMPLES_FOLDER,
        EXPLORATIONS_FOLDER,
        DeadLetters,
        ExampleDecoder,
        ExampleRule,
        ExplorationShelf,
        Ingest,
        KafkaExampleSource,
        SegmentStore,
        TimeLimit,
    )
    from learner.learner_run import Learner
    from learner.learner_service import LearnerService, Schedule
    from monitoring.exposition import serve_metrics
    from monitoring.metrics import LearnerMetrics, ProducerMetrics
    from producers.delivery import KafkaDelivery

    experiment, codec = settings.load_experiment(), settings.codec()
    registry = CollectorRegistry()
    metrics = LearnerMetrics(registry)
    directory = learner_directory(settings.data_dir, experiment)
    shelf = CheckpointShelf(directory / CHECKPOINTS_FOLDER)
    publisher = _publisher(settings, experiment, metrics) if order.publish else None
    limit = TimeLimit.of_join(experiment.join, wall_clock_ms, order.not_after)
    rule = ExampleRule(experiment.action_space, limit)
    with ExitStack() as stack:
        if order.metrics_port:
            serve_metrics(order.metrics_port, registry)
        topic, retention = settings.topic(EXAMPLES), experiment.learner.retention
        store = stack.enter_context(
            SegmentStore(directory / EXAMPLES_FOLDER, topic, retention, reread=order.reread, rule=rule)
        )
        identities = settings.topic_identities()
        source = KafkaExampleSource(settings.kafka_client_config(), topic, identities=identities)
        stack.callback(source.close)
        delivery = stack.enter_context(KafkaDelivery(settings.kafka_client_config(), metrics=ProducerMetrics(registry)))
        letters = DeadLetters(codec, delivery, settings.topic(DEAD_LETTERS))
        decoder = ExampleDecoder(codec, experiment.action_space, experiment.join.max_future_skew, limit)
        ingest = Ingest(source, decoder, store, letters, metrics)
        fresh_s = experiment.serving.checkpoint_ttl / 1000 / FRESH_SHARE
        yield LearnerService(
            ingest,
            Learner(
                experiment,
                directory,
                wall_clock_ms,
                publisher,
                metrics,
                observer,
                partial(_tallies, settings, codec),
                partial(_explorations, settings, codec, ExplorationShelf(directory / EXPLORATIONS_FOLDER)),
                partial(_serving, settings, experiment, None if publisher is None else publisher.store, shelf),
            ),
            lambda: _preference(settings, experiment, None if publisher is None else publisher.store),
            Schedule(every_s=order.every_ms / 1000, fresh_s=fresh_s),
            canary=None if publisher is None else CanaryStep(publisher, directory, observer.stage),
        )


def _tallies(settings: Settings, codec: Codec) -> SliceTallies:
    """The decisions per slice that the producers have counted so far."""
    from learner.examples import KafkaExampleSource, read_tallies

    with closing(KafkaExampleSource(settings.kafka_client_config(), settings.topic(TALLIES))) as source:
        return read_tallies(source, codec)


def _explorations(settings: Settings, codec: Codec, shelf: ExplorationShelf) -> KeptExplorations:
    """The exploration settings that producers wrote, kept; without the right to read them, those kept before."""
    from learner.examples import KafkaExampleSource, KeptExplorations, read_explorations

    topic = settings.topic(EXPLORATIONS)
    try:
        with closing(KafkaExampleSource(settings.kafka_client_config(), topic)) as source:
            return read_explorations(source, codec, shelf)
    except RightMissing as fault:  # a learner of an earlier release had no such right
        log.warning("no exploration settings are read", what=fault.what, fix=fault.fix)
        return KeptExplorations(shelf.load())


def _publisher(settings: Settings, experiment: Experiment, metrics: LearnerMetrics) -> Publisher:
    """Raises SettingError without a signing key; the store is connected to on first use."""
    from learner.checkpoints import LeaseHolder, Publisher
    from policy_store.records import Role, SigningKey
    from trimtab.store_access import open_store, trust_rule

    key = SigningKey.parse(settings.signing_key_text(Role.LEARNER))
    rule = trust_rule(settings, experiment)
    owner = f"{socket.gethostname()}, process {os.getpid()}, since {utc_text(wall_clock_ms())}"
    holder = LeaseHolder(owner, told=metrics.lease_held.set)
    return Publisher(open_store(settings, experiment), key, experiment, wall_clock_ms, rule, holder)


def _preference(settings: Settings, experiment: Experiment, store: PolicyStore | None) -> ObjectiveWeights:
    """The approved preference, verified; else, or if nothing is published, the experiment file's initial one."""
    from policy_store.decisions import read_preference_verified
    from policy_store.records import ObjectiveWeights
    from trimtab.store_access import trust_rule

    record = None if store is None else read_preference_verified(store, trust_rule(settings, experiment))
    return ObjectiveWeights.in_force(experiment, record)


def _serving(
    settings: Settings, experiment: Experiment, store: PolicyStore | None, shelf: CheckpointShelf
) -> ServingCheckpoint:
    """The checkpoint that is serving, verified."""
    from learner.checkpoints import ServingCheckpoint, read_serving
    from trimtab.store_access import trust_rule

    if store is None:
        return ServingCheckpoint(None, "with --no-publish the policy store is not asked")
    return read_serving(store, partial(trust_rule, settings, experiment), shelf)


def _print(report: RunReport, as_json: bool) -> None:
    content: dict[str, Any] = report.as_dict()
    if as_json:
        typer.echo(json.dumps(content))
        return
    from trimtab.run_lines import LABEL, run_lines
    from trimtab.tables import labelled, show

    show(*(line for label, text in run_lines(report) for line in labelled(label, text, LABEL)))
    if report.published is not None or report.trained:
        say_next_after(content, report.checkpoint.manifest.objectives)


def say_next_after(report: dict[str, Any], objectives: list[str]) -> None:
    """What a run leaves to people: to weigh the objectives, or to let a policy serve that passed."""
    from policy_store.records import CANARY_PREFIX, Channel, weight_options
    from trimtab.status.next_action import WEIGHED_BY_NOBODY

    version = report["version"]
    if WEIGHED_BY_NOBODY in report["reason_codes"]:
        equal = weight_options(dict.fromkeys(objectives, 1.0))
        say_next(f"trimtab alpha propose {equal}", "with the weights that you want; no policy passes before that")
    elif report["verdict"] == "pass" and report["channel"] is None:
        say_next("trimtab learn --once", f"publishes what it learns; {version} passed and is only on this machine")
    elif report["channel"] == Channel.CANARY:
        say_next(f"trimtab experiment read {CANARY_PREFIX}{version}", "shows how its users fare, once there are some")
    elif report["verdict"] == "pass":
        command = f"trimtab policy promote {version} --to {Channel.STABLE.value}"
        say_next(command, f"it passed and waits in {report['channel']} until a person lets it serve; {GOVERNED}")
