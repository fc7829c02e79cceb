"""A request shows what a serving node may know, and fits the experiment's feature contract."""

from event_schemas.experiment import load_experiment
from event_schemas.exploration_units import unit_of
from event_schemas.units import DAY_MS
from feature_contract.contract import FeatureContract
from simulator.traffic import plan_traffic
from simulator.user_population import draw_population
from simulator.visible_features import HISTORY_LENGTH, VisibleFeatures
from tests.simulator_samples import HOMEFEED

START = 1_700_000_000_000
PEOPLE = draw_population(7, 100)
PLAN = plan_traffic(7, PEOPLE, 60, start_ms=START, end_ms=START + DAY_MS)


def test_requests_are_what_the_feature_contract_takes() -> None:
    features = VisibleFeatures(7, PEOPLE)
    requests = [features.request(PLAN, index) for index in range(len(PLAN))]
    records = [each.as_record(str(each.request_id), int(each.event_time or 0)) for each in requests]
    encoded = FeatureContract.from_experiment(load_experiment(HOMEFEED)).encode(records)
    shapes = {name: array.shape for name, array in encoded.feeds().items()}
    assert shapes["user_embedding"] == (60, 8)
    assert shapes["history_items"] == (60, HISTORY_LENGTH, 4)


def test_history_lies_in_the_past_oldest_first() -> None:
    features = VisibleFeatures(7, PEOPLE)
    lengths = set()
    for index in range(len(PLAN)):
        request = features.request(PLAN, index)
        times = [item["event_time"] for item in request.history]
        assert times == sorted(times) and all(time < PLAN.time[index] for time in times)
        lengths.add(len(times))
    assert lengths == set(range(HISTORY_LENGTH + 1))


def test_a_seed_fixes_a_request() -> None:
    assert VisibleFeatures(7, PEOPLE).request(PLAN, 5) == VisibleFeatures(7, PEOPLE).request(PLAN, 5)


def test_by_session_the_requests_of_a_session_are_one_unit() -> None:
    alone, together = VisibleFeatures(7, PEOPLE), VisibleFeatures(7, PEOPLE, "session")
    ids = [str(together.request(PLAN, index).request_id) for index in range(len(PLAN))]
    assert len(set(ids)) == len(PLAN)
    units = [unit_of(request_id, "session") for request_id in ids]
    assert units == [together.request(PLAN, index).session_id for index in range(len(PLAN))]
    single = [str(alone.request(PLAN, index).request_id) for index in range(len(PLAN))]
    assert [unit_of(request_id, "session") for request_id in single] == single
