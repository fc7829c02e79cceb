"""A vectorised run writes what the real agent, loggers and the reference join would write, field by field."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from event_schemas.codec import Codec, unframe
from event_schemas.columnar import read_datums
from event_schemas.errors import SettingError
from event_schemas.experiment import Experiment, load_experiment
from event_schemas.records import EXAMPLE
from event_schemas.registry import Registry
from event_schemas.units import DAY_MS, HOUR_MS
from feature_contract import FeatureContract
from learner.examples.example_columns import portable, shipped_columns
from learner.examples.learning_rows import LearningRows
from policy_store.records import ObjectiveWeights
from producers.delivery.memory_log import MemoryLog
from producers.loggers import send_heartbeats
from serving_agent.decide import PolicyAgent, ServingSnapshot, SnapshotHolder
from serving_agent.decide.loaded_policy import LoadedPolicy
from simulator.homefeed_world import RunPlan, build_world, with_exploration_rate
from simulator.live_run import LiveRun
from simulator.local_serving import LocalServing, local_serving
from simulator.vector_agent import UserArms
from simulator.vector_run import VectorRun, hours, write_examples
from simulator.worlds.faults import Faults
from simulator.worlds.named_worlds import world
from stream_processors.rule.join_rule import JoinRule
from stream_processors.rule.reference_join import reference_join
from tests.learner_samples import check_log
from tests.simulator_samples import HOMEFEED
from tests.world_samples import START, short_run

CODEC = Codec(Registry.bundled())
TOPIC = "trimtab.events"
BASE = with_exploration_rate(load_experiment(HOMEFEED), 0.3)
PLACE = ["outcome_partition", "outcome_offset"]


class LinearNetwork:
    """Values that depend on embedding, context and history: a fixed projection of the feeds for each arm."""

    def __init__(self, arms: int) -> None:
        self._arms = arms

    def score(self, feeds: Mapping[str, NDArray[Any]], flag: Any = None) -> NDArray[np.float32]:
        del flag
        rows = len(feeds["user_embedding"])
        columns = [feeds[name].reshape(rows, -1) for name in sorted(feeds)]
        known = np.mod(0.37 * np.concatenate(columns, axis=1).astype(np.float64), 1.0)
        mixing = np.random.default_rng(1).normal(size=(known.shape[1], self._arms * 2))
        # Summed in one order for one row and for many, so that both choose the same arm.
        total = np.zeros((rows, self._arms * 2))
        for column in range(known.shape[1]):
            total += known[:, column : column + 1] * mixing[column]
        return total.reshape(rows, self._arms, 2).astype(np.float32)


def snapshot_of(experiment: Experiment, served: bool) -> ServingSnapshot:
    preference = ObjectiveWeights.in_force(experiment)
    if not served:
        return ServingSnapshot(preference)
    network: Any = LinearNetwork(experiment.action_space.arms)
    contract = FeatureContract.from_experiment(experiment)
    return ServingSnapshot(preference, LoadedPolicy("20240101T000000Z-0000abcd", 0, network, contract))


def changed(**rates: Any) -> Experiment:
    """The experiment with a guardrail on hides, other rates, and time enough to score on a busy machine."""
    hide = BASE.objectives[0].model_copy(
        update={"name": "hide", "kinds": ("hide",), "role": "guardrail", "attribution": 120_000}
    )
    serving = BASE.serving.model_copy(update={"budget_ms": 60_000})
    spec = BASE.experiment.model_copy(update=rates)
    return BASE.model_copy(update={"objectives": (*BASE.objectives, hide), "experiment": spec, "serving": serving})


def joined(experiment: Experiment, plan: RunPlan, snapshot: ServingSnapshot) -> pl.DataFrame:
    """The examples of the real agent's run, by the reference join."""
    log = MemoryLog(partitions=1)
    stage, traffic = build_world(experiment, plan)
    serving = local_serving(experiment, CODEC, log, TOPIC, lambda: plan.end_ms)
    serving.agent.close()
    agent = PolicyAgent(experiment, serving.decisions, SnapshotHolder(snapshot))
    real = LocalServing(agent, serving.decisions, serving.engagements, serving.sender)
    report = LiveRun(experiment, stage, [agent], real.engagements, lambda _: note_nothing(real)).run(traffic)
    real.close()
    send_heartbeats(log, CODEC, TOPIC, 1, report.last_event_time + experiment.window_ms + 1)
    found = reference_join(JoinRule.from_experiment(experiment), CODEC, log.records(TOPIC))
    datums = [unframe(value)[1] for value in found.examples.values()]
    return portable(read_datums(CODEC.registry.newest(EXAMPLE), datums)).sort("request_request_id")


def note_nothing(serving: LocalServing) -> None:
    serving.flush()


def vectorised(experiment: Experiment, plan: RunPlan, snapshot: ServingSnapshot) -> pl.DataFrame:
    return pl.concat(list(VectorRun(experiment, plan, snapshot).frames())).sort("request_request_id")


@pytest.mark.parametrize(
    ("rates", "faults", "served"),
    [
        ({}, Faults(), False),
        ({"log_rate": 0.3, "control_rate": 0.2, "production_share": 0.4}, Faults(missing=0.3, duplicates=0.3), False),
        ({"exploration_unit": "session", "exploration_rate": 0.2}, Faults(delay=4.0), True),
        ({"log_unit": "user", "log_rate": 0.5}, Faults(dead_until=0.5, dead_kind="repin", drift_heads=3.0), True),
    ],
)
def test_every_field_is_that_of_the_real_agent_and_join(rates: dict[str, Any], faults: Faults, served: bool) -> None:
    experiment = changed(**rates)
    plan = RunPlan(3, 300, START, START + DAY_MS, users=120, world=world("homefeed"), faults=faults)
    snapshot = snapshot_of(experiment, served)
    real, fast = joined(experiment, plan, snapshot), vectorised(experiment, plan, snapshot)
    assert fast.height == real.height > 100 and fast.schema == real.schema
    for column in real.columns:
        if column not in PLACE:
            assert fast[column].to_list() == real[column].to_list(), column
    slices = set(real["action_slice"])
    assert {"EXPLORE", "CONTROL", "POLICY" if served else "FALLBACK"} == slices
    rewards = real.select(pl.col("outcome_objectives").explode().struct.field("reward")).to_series()
    assert rewards.sum() > 10


def test_the_policy_s_arms_differ_from_request_to_request() -> None:
    plan = RunPlan(3, 300, START, START + DAY_MS, users=120, world=world("homefeed"))
    served = vectorised(changed(), plan, snapshot_of(changed(), True)).filter(pl.col("action_slice") == "POLICY")
    assert served["action_arm"].n_unique() > 10
    assert set(served["action_policy_version"]) == {"20240101T000000Z-0000abcd"}


def test_hours_lie_between_full_hours_and_cover_the_plan() -> None:
    _, plan = short_run(requests=500)
    parts = list(hours(plan))
    assert sum(map(len, parts)) == 500 and len(parts) > 10
    assert all(len(set((part.time // HOUR_MS).tolist())) == 1 for part in parts)


def test_files_hold_the_examples_in_the_columns_of_the_learner(tmp_path: Path) -> None:
    told = list[int]()
    plan = RunPlan(3, 900, START, START + DAY_MS, users=300, world=world("homefeed"))
    report = write_examples(BASE, plan, tmp_path / "out", progress=told.append, rows_per_file=400)
    rows = pl.concat([pl.read_parquet(tmp_path / "out" / name) for name in report.files])
    assert shipped_columns().misshapen(rows) == "" and rows.height == report.logged == report.decisions == 900
    assert len(report.files) >= 2 and told[-1] == 900 == sum(report.slices.values())
    assert rows["outcome_offset"].to_list() == list(range(900)) and report.as_dict()["world"] == "homefeed/1"
    saved = rows.select(pl.col("outcome_objectives").list.get(0).struct.field("reward")).to_series().mean()
    assert report.mean_reward["repin"] == pytest.approx(saved)
    assert set(report.mean_reward) == {"repin", "p2p"}


def test_the_learner_reads_the_rows_and_finds_the_log_sound() -> None:
    plan = RunPlan(3, 3_000, START, START + DAY_MS, users=600, world=world("homefeed"))
    frame = pl.concat(list(VectorRun(BASE, plan).frames())).filter(pl.col("action_slice") == "EXPLORE")
    kept = {BASE.exploration.digest: BASE.exploration}
    rows = LearningRows.of(frame, BASE, FeatureContract.from_experiment(BASE), kept)
    assert rows.count > 800 and rows.inputs["history_items"].shape == (rows.count, 5, 4)
    checked = check_log(rows, BASE)
    assert checked.p_value is not None and checked.p_value > 1e-4, checked


def test_a_used_folder_and_the_world_of_the_demo_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    plan = RunPlan(3, 10, START, START + DAY_MS, world=world("homefeed"))
    with pytest.raises(SettingError, match="not an empty folder"):
        write_examples(BASE, plan, tmp_path)
    with pytest.raises(SettingError, match="'easy' writes no examples"):
        VectorRun(BASE, RunPlan(3, 10, START, START + DAY_MS))


def test_arms_in_one_run_are_the_runs_of_their_users() -> None:
    plan = RunPlan(3, 300, START, START + DAY_MS, users=120, world=world("homefeed"))
    served = snapshot_of(BASE, served=True)
    preferences = (ObjectiveWeights(0, None), ObjectiveWeights(0, (0.1, 0.9)))
    arm = np.arange(120) % 3 - 1
    found = pl.concat(list(VectorRun(BASE, plan, served, UserArms(preferences, arm)).frames()))
    for place, preference in enumerate(preferences):
        alone = ServingSnapshot(preference, served.stable)
        whole = pl.concat(list(VectorRun(BASE, plan, alone).frames()))
        users = [f"user-{user}" for user in np.flatnonzero(arm == place)]
        own = pl.col("request_user_id").is_in(users)
        alike = found.filter(own).drop(PLACE)
        assert alike.equals(whole.filter(own).drop(PLACE)) and alike.height > 0
    absent = [f"user-{user}" for user in np.flatnonzero(arm == -1)]
    assert found.filter(pl.col("request_user_id").is_in(absent)).height == 0
