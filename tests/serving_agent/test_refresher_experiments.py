"""A node follows online experiments as it follows channels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from event_schemas.experiment import Experiment
from event_schemas.units import HOUR_MS
from policy_store.decisions.experiment_decisions import conclude_experiment, start_experiment
from policy_store.records.channel_record import Channel
from tests.policy_store.experiment_samples import arm, plan, result
from tests.serving_agent.refresher_bench import Bench
from tests.serving_samples import NOW, preferring, serving_experiment


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, serving_experiment())
    yield made
    for refresher in made.opened:
        refresher.close()


def test_experiments_serve_beside_the_channels_and_end_with_them(bench: Bench) -> None:
    bench.publish("v1")
    bench.desk.publish("v2", preferring(bench.experiment, repin=3), evaluation={"verdict": "pass"})
    planned = plan(NOW, arm("control", 0.5), arm("bold", 0.5, "v2"), log_rate=0.5)
    desk, told = bench.desk, list[set[float]]()
    start_experiment(bench.store, planned, bench.experiment, desk.rule, desk.decider())
    refresher = bench.refresher(raise_log_rates=lambda rates: told.append(set(rates)))
    refresher.poll()
    [made] = refresher.holder.current.experiments
    assert (made.id, made.arms[1].policy is not None) == ("x1", True)
    assert told[-1] == {0.5}
    assert refresher.report().as_dict()["experiments"]["checkpoints"]["v2"]["result"] == "accepted"
    bench.publish("v3", Channel.CANARY)
    refresher.poll()
    assert {each.id for each in refresher.holder.current.experiments} == {"x1", "canary-v3"}
    bench.store.cut = True
    again = bench.refresher()
    again.start()
    assert {each.id for each in again.holder.current.experiments} == {"x1", "canary-v3"}, "from the disk"
    bench.store.cut = False
    conclude_experiment(bench.store, result(), desk.rule, desk.decider())
    bench.desk.now += 1
    desk.point(Channel.STABLE, "v3")
    refresher.poll()
    assert refresher.holder.current.experiments == ()
    assert told[-1] == set()


def test_the_log_rate_of_an_experiment_that_is_planned_for_later_is_not_told_yet(bench: Bench) -> None:
    desk, told = bench.desk, list[set[float]]()
    planned = plan(NOW + 24 * HOUR_MS, log_rate=0.5)
    start_experiment(bench.store, planned, bench.experiment, desk.rule, desk.decider())
    refresher = bench.refresher(raise_log_rates=lambda rates: told.append(set(rates)))
    refresher.poll()
    assert [each.id for each in refresher.holder.current.experiments] == ["x1"]
    assert told[-1] == set()
    bench.now += 23 * HOUR_MS
    refresher.poll()
    assert told[-1] == {0.5}


def test_saved_experiments_that_no_longer_fit_the_file_do_not_keep_a_node_from_starting(bench: Bench) -> None:
    desk = bench.desk
    start_experiment(bench.store, plan(NOW), bench.experiment, desk.rule, desk.decider())
    bench.refresher().start()
    content = bench.experiment.model_dump(mode="json")
    content["objectives"].append({**content["objectives"][0], "name": "third", "kinds": ["third"]})
    bench.experiment = Experiment.model_validate(content)
    bench.store.cut = True
    again = bench.refresher()
    again.start()
    assert again.holder.current.experiments == ()
    assert "objectives" in again.report().as_dict()["disk"]
    bench.store.cut = False
    again.poll()
    assert again.holder.current.experiments == ()
    assert "objectives" in str(again.report().as_dict()["preference_fault"])


def test_a_checkpoint_that_an_arm_names_in_vain_is_told_once(bench: Bench) -> None:
    bench.desk.publish("odd", preferring(bench.experiment, repin=3), answer="proposal", evaluation={"verdict": "pass"})
    planned = plan(NOW, arm("control", 0.5), arm("bold", 0.5, "odd"))
    desk = bench.desk
    start_experiment(bench.store, planned, bench.experiment, desk.rule, desk.decider())
    refresher = bench.refresher()
    for _ in range(3):
        refresher.poll()
    told = [entry.content for entry in bench.store.audit_entries() if entry.content["action"] == "refuse checkpoint"]
    assert [(each["detail"]["channel"], each["detail"]["version"]) for each in told] == [("experiment", "odd")]
