"""Starting, enlarging and concluding online experiments, on a store of each kind."""

from __future__ import annotations

from typing import Any

import pytest

from event_schemas.experiment import Experiment
from event_schemas.units import HOUR_MS
from policy_store.backends.memory_store import MemoryStore
from policy_store.decisions.experiment_decisions import conclude_experiment, enlarge_experiment, start_experiment
from policy_store.decisions.experiment_reading import read_experiments_verified, read_ledger_verified
from policy_store.decisions.rebasing import rebase
from policy_store.records.channel_record import Channel
from policy_store.records.experiment_record import ExperimentsRecord, OnlineExperiment
from policy_store.records.store_errors import (
    ContractMismatch,
    ExperimentRefused,
    PromotionRefused,
    RecordMalformed,
    RevisionConflict,
    UnknownCheckpoint,
)
from tests.policy_store.experiment_samples import arm, plan, result
from tests.policy_store.foreign_hands import MemoryHands
from tests.serving_samples import GOVERNANCE_KEY, NOW, StoreDesk, preferring, serving_experiment

FILE = serving_experiment().model_copy(update={})
GUARDED = Experiment.model_validate(
    FILE.model_dump(mode="json") | {"guardrails": [{"name": "hides", "kinds": ["hide"]}]}
)


class People:
    """One person at one store."""

    def __init__(self, experiment: Experiment = GUARDED) -> None:
        self.desk = StoreDesk(experiment)
        self.desk.publish("v1", preferring(experiment, repin=3, p2p=4), evaluation={"verdict": "pass"})

    @property
    def store(self) -> Any:
        return self.desk.store

    def start(self, planned: OnlineExperiment) -> ExperimentsRecord:
        desk = self.desk
        return start_experiment(self.store, planned, desk.experiment, desk.rule, desk.decider())

    def conclude(self, experiment_id: str = "x1", **changes: Any) -> Any:
        return conclude_experiment(self.store, result(experiment_id, **changes), self.desk.rule, self.desk.decider())

    def enlarge(self, share: float, experiment_id: str = "x1") -> ExperimentsRecord:
        return enlarge_experiment(self.store, experiment_id, share, self.desk.rule, self.desk.decider())

    @property
    def running(self) -> list[str]:
        record = read_experiments_verified(self.store, self.desk.rule, now_ms=self.desk.now)
        return [] if record is None else [each.id for each in record.running]


def test_an_experiment_runs_until_it_is_concluded_and_leaves_an_entry() -> None:
    people = People()
    assert people.running == []
    first = people.start(plan(NOW, guardrails=("hides",)))
    people.start(plan(NOW, id="x2"))
    assert people.running == ["x1", "x2"]
    assert first.by == "a person"
    entry = people.conclude()
    assert people.running == ["x2"]
    assert (entry.id, entry.previous) == ("x1", None)
    people.conclude("x2", verdict="adopted", winner="bold")
    assert people.running == []
    ledger = read_ledger_verified(people.store, people.desk.rule)
    assert [each.id for each in ledger] == ["x1", "x2"]
    assert ledger[1].previous == people.store.ledger()[0].hash
    actions = [entry.content["action"] for entry in people.store.audit_entries()]
    assert actions[-4:] == ["publish ledger", "publish experiments", "publish ledger", "publish experiments"]


def test_a_larger_share_is_the_only_change(monkeypatch: pytest.MonkeyPatch) -> None:
    people = People()
    people.start(plan(NOW))
    record = people.enlarge(0.5)
    assert record.running == (plan(NOW, share=0.5),)
    for share in (0.5, 0.1):
        with pytest.raises(ExperimentRefused, match="not more"):
            people.enlarge(share)
    with pytest.raises(RecordMalformed, match="more than all users"):
        people.enlarge(1.5)
    with pytest.raises(ExperimentRefused, match="no experiment 'x9' runs; those that run: x1"):
        people.enlarge(0.9, "x9")
    people.desk.now = plan(NOW).planned_end
    with pytest.raises(ExperimentRefused, match="it serves nobody any more"):
        people.enlarge(0.9)


@pytest.mark.parametrize(
    ("planned", "error", "says"),
    [
        (plan(NOW, id="canary-v1"), ExperimentRefused, "canaries"),
        (plan(NOW - 3_600_000), ExperimentRefused, "start it now or later"),
        (plan(NOW, guardrails=("clicks",)), ExperimentRefused, "clicks; the file counts hides"),
        (plan(NOW, arm("control", 0.5), arm("bold", 0.5, "v9")), UnknownCheckpoint, "v9"),
        (plan(NOW, arm("control", 0.5), arm("bold", 0.5, "bad")), PromotionRefused, "the gate refused"),
    ],
)
def test_what_cannot_run_is_refused_and_changes_nothing(
    planned: OnlineExperiment, error: type[Exception], says: str
) -> None:
    people = People()
    people.desk.publish("bad", preferring(GUARDED, repin=3), evaluation={"verdict": "refuse"})
    with pytest.raises(error) as refused:
        people.start(planned)
    assert says in str(refused.value)
    assert people.store.experiments() is None


def test_a_preference_must_fit_objectives_and_checkpoint() -> None:
    people = People()
    weights = plan(NOW).arms[1].model_copy(update={"preference": None})
    of_three = arm("bold", 0.5).model_copy(
        update={"preference": type(plan(NOW).arms[1].preference).of(weights={"a": 1.0})}  # type: ignore[union-attr]
    )
    with pytest.raises(ContractMismatch, match="repin"):
        people.start(plan(NOW, arm("control", 0.5), of_three))
    pinned = {"repin": 0.9, "p2p": 0.1}
    people.desk.publish("pinned", preferring(GUARDED, repin=3), preference=pinned, evaluation={"verdict": "pass"})
    with pytest.raises(ExperimentRefused, match="answers only for the preference"):
        people.start(plan(NOW, arm("control", 0.5), arm("bold", 0.5, "pinned", alpha=0.9)))
    people.start(plan(NOW, arm("control", 0.5), arm("bold", 0.5, "pinned", alpha=0.1)))
    people.start(plan(NOW, weights, arm("control", 0.5, "pinned"), id="x2"))
    people.desk.point(Channel.STABLE, "pinned")
    with pytest.raises(ExperimentRefused, match="checkpoint pinned"):
        people.start(plan(NOW, id="x3"))


def test_nodes_of_an_earlier_release_are_upgraded_first_or_accepted_by_name() -> None:
    people = People()
    people.store.heartbeat("new", {"experiments": {"revision": None, "checkpoints": {}}}, 60)
    people.store.heartbeat("old", {"versions": {"stable": "v1"}}, 60)
    with pytest.raises(ExperimentRefused, match="the nodes old are of a release that knows no experiments"):
        people.start(plan(NOW))
    desk = people.desk
    start_experiment(people.store, plan(NOW), desk.experiment, desk.rule, desk.decider(), mixed_fleet=True)
    assert people.running == ["x1"]


def test_an_experiment_without_users_is_not_started() -> None:
    people = People()
    people.start(plan(NOW, share=1.0))
    with pytest.raises(ExperimentRefused, match="x2 would have no users: x1 has all of them"):
        people.start(plan(NOW, id="x2"))
    people.start(plan(plan(NOW).planned_end, id="x2"))
    halved = GUARDED.model_copy(update={"serving": GUARDED.serving.model_copy(update={"canary_share": 0.5})})
    for experiment, refused in ((GUARDED, False), (halved, True)):
        people = People(experiment)
        people.desk.point(Channel.CANARY, "v1")
        if refused:
            with pytest.raises(ExperimentRefused, match="canary-v1 has all of them"):
                people.start(plan(NOW))
        else:
            people.start(plan(NOW))


def test_an_id_is_used_once() -> None:
    people = People()
    people.start(plan(NOW))
    with pytest.raises(ExperimentRefused, match="already"):
        people.start(plan(NOW))
    people.conclude()
    with pytest.raises(ExperimentRefused, match="already"):
        people.start(plan(NOW))


def test_a_conclusion_that_was_interrupted_is_finished_by_the_next() -> None:
    people = People()
    people.start(plan(NOW))
    store = people.store
    assert isinstance(store, MemoryStore)
    publish, store.publish_experiments = store.publish_experiments, _dies  # type: ignore[method-assign]
    with pytest.raises(RevisionConflict):
        people.conclude()
    assert people.running == ["x1"]
    store.publish_experiments = publish  # type: ignore[method-assign]
    people.conclude()
    assert people.running == []
    assert len(store.ledger()) == 1, "the entry is not written twice"


def test_a_concluded_experiment_does_not_come_back_after_a_rebase() -> None:
    people = People()
    people.start(plan(NOW))
    people.conclude()
    store, desk = people.store, people.desk
    store._contents.histories["experiments"].pop(0)
    far = ExperimentsRecord(experiment=GUARDED.name, revision=NOW + 100 * HOUR_MS, by="ada", running=())
    MemoryHands(store).publish_as_0_1_0("experiments", far.signed_by(GOVERNANCE_KEY))
    assert rebase(store, desk.rule, desk.decider()).decide_again == ("experiments",)
    assert people.running == ["x1"], "the record from before the conclusion is the newest that is left"
    people.start(plan(NOW, id="x2"))
    assert people.running == ["x2"]


def test_only_what_ran_is_concluded_but_a_canary_always_did() -> None:
    people = People()
    with pytest.raises(ExperimentRefused, match="those that run: none"):
        people.conclude("x9")
    people.conclude("canary-v1")
    assert [each.id for each in read_ledger_verified(people.store, people.desk.rule)] == ["canary-v1"]


def _dies(*_: object, **__: object) -> None:
    raise RevisionConflict("the process dies here", fix="run it again")
