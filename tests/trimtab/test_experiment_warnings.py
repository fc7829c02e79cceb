"""What is allowed and may harm is told once, with what helps."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from event_schemas.experiment_sections import JoinSpec
from tests.serving_samples import serving_experiment
from trimtab.experiment_warnings import cap_warnings, join_warnings, retention_warnings


@given(st.integers(1, 10), st.integers(1, 10))
def test_a_lateness_below_the_skew_is_told_with_both(lateness: int, skew: int) -> None:
    told = list(join_warnings(JoinSpec(allowed_lateness=lateness, max_future_skew=skew)))
    assert len(told) == (lateness < skew)
    for each in told:
        assert f"allowed_lateness = {lateness}ms" in each.what and f"max_future_skew = {skew}ms" in each.what
        assert "\n" not in each.what + each.fix
    assert not list(join_warnings(JoinSpec(allowed_lateness=lateness, max_future_skew=skew, clock="replay")))


@given(st.one_of(st.none(), st.integers(1, 600)), st.integers(1, 20))
def test_a_cap_that_leaves_a_node_nothing_without_the_store_is_told_with_both(
    per_minute: int | None, nodes: int
) -> None:
    cap = None if per_minute is None else per_minute / 60
    experiment = serving_experiment(experiment={"exploration_cap": cap}, serving={"most_nodes": nodes})
    told = list(cap_warnings(experiment))
    assert len(told) == (cap is not None and 60.0 * cap / nodes < 1.0)
    for each in told:
        assert f"exploration_cap = {cap:g}" in each.what and f"most_nodes = {nodes}" in each.what


@given(st.integers(-2, 2))
def test_a_retention_below_what_a_run_reads_is_told(slack: int) -> None:
    spans = {"train_window": "3d", "holdout_window": "2d"}
    window_ms = serving_experiment().window_ms
    needed = 5 * 86_400_000 + window_ms
    experiment = serving_experiment(learner=spans | {"retention": f"{needed + slack}ms"})
    assert [each.what.startswith("learner.retention = ") for each in retention_warnings(experiment)] == [True] * (
        slack < 0
    )


def test_the_default_retention_is_more_than_a_run_reads() -> None:
    assert not list(retention_warnings(serving_experiment()))
