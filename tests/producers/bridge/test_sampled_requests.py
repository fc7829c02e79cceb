"""What a node may have logged passes, whatever an engagement says of its user; the rest is kept out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_schemas.experiment_sections import ExperimentSpec
from event_schemas.exploration import ExplorationDraws
from event_schemas.user_ids import person
from producers.bridge.raised_log_rates import RaisedLogRates
from producers.bridge.sampled_requests import SampledRequests
from tests.serving_samples import serving_experiment

NOW = 1_764_000_000_000
RATES: dict[str, Any] = {"salt": "pepper", "exploration_rate": 0.1, "control_rate": 0.05, "log_rate": 0.2}
IDS = [f"s{number // 3}~{number}" for number in range(300)]
USERS = st.sampled_from([None, "", "null", *(f"u{number}" for number in range(30))])


def unasked() -> int | None:
    raise AssertionError("no rate was raised, so the time makes no difference")


def passing(rates: ExperimentSpec, user: str | None) -> set[str]:
    requests = SampledRequests(rates)
    return {each for each in IDS if requests.may_be_logged(each, user, unasked)}


@pytest.mark.parametrize("unit", ["request", "session"])
@given(of_request=USERS, request=st.sampled_from(IDS), rate=st.sampled_from([0.0, 0.05, 0.1]))
def test_what_a_node_logs_passes_by_user(unit: str, of_request: str | None, request: str, rate: float) -> None:
    """The engagement's user is the request's, or it has none, or the request had none yet."""
    experiment = serving_experiment(experiment={**RATES, "exploration_unit": unit, "log_unit": "user"})
    draws = ExplorationDraws(experiment.action_space, experiment.exploration)
    logged = draws.sampling(request, draws.slice(request, rate).slice, of_request).logged
    requests = SampledRequests(experiment.experiment)
    for of_engagement in {of_request, None, "null", *(["u7"] if person(of_request) is None else [])}:
        assert requests.may_be_logged(request, of_engagement, unasked) or not logged, of_engagement


def test_of_known_users_most_is_kept_out() -> None:
    experiment = serving_experiment(experiment={**RATES, "log_unit": "user"})
    draws = ExplorationDraws(experiment.action_space, experiment.exploration)
    for user in (f"u{number}" for number in range(20)):
        whole = draws.sampling("r", "POLICY", user).logged  # type: ignore[arg-type]
        share = len(passing(experiment.experiment, user)) / len(IDS)
        assert share == 1.0 if whole else 0.2 < share < 0.45, "explored, control, and drawn as without a user"
    assert len(passing(experiment.experiment, None)) == len(IDS)


def test_sessions_pass_together_and_their_users_mean_nothing() -> None:
    rates = ExperimentSpec(name="s", log_unit="session", **RATES)
    passed = passing(rates, None)
    assert passed == passing(rates, "u1")
    draws_alone = ExperimentSpec(name="s", **{**RATES, "log_unit": "request"})
    assert passing(draws_alone, None) != passed
    sessions = [{f"s{n}~{3 * n + k}" for k in range(3)} for n in range(100)]
    unexplored = rates.model_copy(update={"exploration_rate": 0.0, "control_rate": 0.0})
    kept = passing(unexplored, None)
    assert all(session <= kept or session.isdisjoint(kept) for session in sessions) and kept


def test_a_raised_rate_counts_in_its_window_only() -> None:
    experiment = serving_experiment(experiment=RATES)
    raised = RaisedLogRates(experiment.exploration, 1_000)
    requests = SampledRequests(experiment.experiment, raised)

    def passed(time: int | None) -> set[str]:
        return {each for each in IDS if requests.may_be_logged(each, None, lambda: time)}

    before = passed(NOW)
    assert before == passing(experiment.experiment, None)
    raised.note(replace(experiment.exploration, log_rate=0.6), NOW)
    draws = ExplorationDraws(experiment.action_space, experiment.exploration.with_log_rate(0.6))
    logged = {each for each in IDS if draws.sampling(each, draws.slice(each).slice).logged}
    assert before < logged <= passed(NOW) == passed(NOW + 1_000) == passed(None)
    assert passed(NOW + 1_001) == before
