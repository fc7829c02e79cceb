"""The serving process without a policy, on a log in memory."""

from event_schemas.codec import Codec
from event_schemas.experiment import load_experiment
from event_schemas.registry import Registry
from event_schemas.slices import Slice
from learner.examples.example_source import MemoryExampleSource
from learner.examples.tally_reading import read_tallies
from producers.delivery.memory_log import MemoryLog
from serving_agent.decide.decision_request import DecisionRequest
from simulator.homefeed_world import with_exploration_rate
from simulator.local_serving import SideTopics, local_serving
from tests.simulator_samples import HOMEFEED

NOW = 1_700_000_000_000
TOPIC = "trimtab.events"


def test_decisions_and_engagements_go_through_one_measured_sender() -> None:
    log = MemoryLog()
    experiment = with_exploration_rate(load_experiment(HOMEFEED), 0.0)
    serving = local_serving(experiment, Codec(Registry.bundled()), log, TOPIC, lambda: NOW)
    decision = serving.agent.decide(DecisionRequest(request_id="r-1", event_time=NOW))
    assert decision.slice in (Slice.FALLBACK, Slice.CONTROL)
    assert dict(decision.weights) == {"repin": 91.6, "p2p": 9.1}
    decision.applied()
    serving.engagements.log("r-1", "repin", event_time=NOW + 1)
    counts = serving.flush()
    assert counts.acknowledged == counts.handed_in == serving.sender.events == 4
    assert serving.sender.bytes == sum(len(r.key or b"") + len(r.value or b"") for r in log.records(TOPIC))
    assert serving.close().in_flight == 0


def test_an_event_without_bytes_is_counted_as_dropped() -> None:
    log = MemoryLog()
    serving = local_serving(load_experiment(HOMEFEED), Codec(Registry.bundled()), log, TOPIC, lambda: NOW)
    serving.sender.reject("Request")
    assert serving.sender.counts().dropped == 1 and serving.sender.flush(0.1).in_flight == 0
    serving.close()


def test_it_explores_without_the_cap_of_the_experiment() -> None:
    capped = with_exploration_rate(load_experiment(HOMEFEED), 1.0)
    rates = capped.experiment.model_copy(update={"exploration_cap": 0.1})
    capped = capped.model_copy(update={"experiment": rates})
    serving = local_serving(capped, Codec(Registry.bundled()), MemoryLog(), TOPIC, lambda: NOW)
    drawn = {serving.agent.decide(DecisionRequest(f"r-{number}", event_time=NOW)).slice for number in range(20)}
    assert drawn == {Slice.EXPLORE}
    serving.close()


def test_it_tells_what_it_counted_under_a_name_that_stays() -> None:
    """A run that is repeated counts once: the newer tally of a source replaces the older one."""
    codec, log = Codec(Registry.bundled()), MemoryLog(1)
    experiment = with_exploration_rate(load_experiment(HOMEFEED), 1.0)
    for _ in range(2):
        beside = SideTopics("explorations", "tallies", "run-1")
        serving = local_serving(experiment, codec, log, TOPIC, lambda: NOW, beside)
        for number in range(5):
            assert serving.agent.decide(DecisionRequest(f"r-{number}", event_time=NOW)).applied()
        serving.close()
    assert [codec.decode(each.value).record["source"] for each in log.records("tallies")] == ["run-1"] * 2
    tallies = read_tallies(MemoryExampleSource(log.records("tallies")), codec)
    assert tallies.counts == {"EXPLORE": 5} and sum(tallies.arms.values()) == 5
    assert len(log.records("explorations")) == 2
