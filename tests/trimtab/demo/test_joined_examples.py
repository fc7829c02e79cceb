"""The examples topic, counted: through the embedded broker, with examples of the reference join."""

from pathlib import Path

from confluent_kafka import Producer

from event_schemas.codec import Codec
from event_schemas.experiment import load_experiment
from event_schemas.registry import Registry
from event_schemas.topics import EVENTS, EXAMPLES, topic_name
from event_schemas.units import DAY_MS
from producers.delivery.memory_log import MemoryLog
from producers.topics.topic_admin import touch_topics
from simulator.homefeed_world import RunPlan, with_exploration_rate
from simulator.simulation import EventOutlet, run_simulation
from stream_processors.rule.join_rule import JoinRule
from stream_processors.rule.reference_join import reference_join
from trimtab.demo.joined_examples import JoinedExamples, read_examples
from trimtab.demo.topic_counts import TopicCounts
from trimtab.demo.workspace import HOMEFEED, DemoExperiment, Workspace
from trimtab.embedded_runtime import embedded_runtime

START, DECISIONS = 1_700_006_400_000, 300
CODEC = Codec(Registry.bundled())


def simulated_examples() -> dict[str, bytes]:
    experiment, log = with_exploration_rate(load_experiment(HOMEFEED), 0.5), MemoryLog()
    plan = RunPlan(1, DECISIONS, START, START + DAY_MS, users=50)
    run_simulation(experiment, plan, EventOutlet(CODEC, log, "events", log.partitions))
    examples = reference_join(JoinRule.from_experiment(experiment), CODEC, log.records("events")).examples
    return {decision.request_id: value for decision, value in examples.items()}


def test_examples_are_counted_once_by_slice_reward_and_head(tmp_path: Path) -> None:
    framed = simulated_examples()
    with embedded_runtime(tmp_path / "runtime") as runtime:
        experiment = DemoExperiment(Workspace(tmp_path), runtime, HOMEFEED)
        touch_topics({"bootstrap.servers": runtime.kafka_bootstrap}, experiment.topic_prefix)
        assert read_examples(experiment).count == 0
        assert read_examples(experiment).rewarded() == {}
        producer = Producer({"bootstrap.servers": runtime.kafka_bootstrap, "compression.type": "gzip"})
        copies = [*framed.items(), *list(framed.items())[:5]]
        for request_id, value in copies:
            producer.produce(topic_name(experiment.topic_prefix, EXAMPLES), value, request_id)
        assert producer.flush(20) == 0
        joined = read_examples(experiment)
        with TopicCounts(runtime.kafka_bootstrap, [experiment.topic_prefix]) as counts:
            assert counts.written(EXAMPLES) == DECISIONS + 5 and counts.written(EVENTS) == 0
            assert counts.sentence() == f"0 events → {DECISIONS + 5} examples"
    check_counts(joined, [CODEC.decode(value).record for value in framed.values()])


def check_counts(joined: JoinedExamples, records: list[dict[str, object]]) -> None:
    assert joined.count == len(records) == DECISIONS
    slices = joined.by_slice()
    assert sum(slices.values()) == DECISIONS and slices["EXPLORE"] > 100 and slices["FALLBACK"] > 50
    assert set(joined.rewarded()) == {"repin", "p2p"} and all(0 < n < DECISIONS for n in joined.rewarded().values())
    heads = joined.heads_of_slice("FALLBACK")
    assert {head: len(values) for head, values in heads.items()} == dict.fromkeys(
        ("repin", "p2p", "closeup"), slices["FALLBACK"]
    )
    assert not joined.shadowed()
