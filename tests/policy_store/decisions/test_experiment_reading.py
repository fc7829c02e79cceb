"""What readers believe of experiments and the ledger."""

from __future__ import annotations

import pytest

from event_schemas.experiment import Experiment
from policy_store.backends.memory_store import MemoryStore
from policy_store.decisions.experiment_decisions import conclude_experiment, start_experiment
from policy_store.decisions.experiment_reading import (
    planned_experiment,
    read_experiments_verified,
    read_ledger_verified,
    verify_ledger,
)
from policy_store.decisions.inspection import inspect_store
from policy_store.records.channel_record import Channel
from policy_store.records.experiment_record import ExperimentsRecord
from policy_store.records.revision_rules import ReaderMemory
from policy_store.records.store_errors import LedgerBroken, RevisionRegressed, RoleForbidden, SignatureInvalid
from tests.policy_store.experiment_samples import plan, result
from tests.policy_store.foreign_hands import MemoryHands
from tests.serving_samples import LEARNER_KEY, NOW, StoreDesk, preferring, serving_experiment


@pytest.fixture
def desk() -> StoreDesk:
    made = StoreDesk(serving_experiment())
    for name in ("x1", "x2", "x3"):
        start_experiment(made.store, plan(NOW, id=name), made.experiment, made.rule, made.decider())
        conclude_experiment(made.store, result(name), made.rule, made.decider())
    return made


def hands_on(desk: StoreDesk) -> MemoryHands:
    assert isinstance(desk.store, MemoryStore)
    return MemoryHands(desk.store)


def test_the_ledger_is_a_chain(desk: StoreDesk) -> None:
    entries = desk.store.ledger()
    assert [each.id for each in read_ledger_verified(desk.store, desk.rule)] == ["x1", "x2", "x3"]
    assert verify_ledger([], desk.rule) == []
    for broken in (entries[1:], [entries[0], entries[2]], [entries[1], entries[0], entries[2]], [*entries, entries[0]]):
        with pytest.raises(LedgerBroken, match="does not follow"):
            verify_ledger(broken, desk.rule)
    without = verify_ledger([entries[0], entries[2]], desk.rule, {entries[1].hash})
    assert [each.id for each in without] == ["x1", "x3"], "a re-base may have removed one"


def test_the_last_entry_cannot_be_removed_unseen(desk: StoreDesk) -> None:
    hands_on(desk).store._contents.histories["ledger"].pop(0)
    with pytest.raises(LedgerBroken, match="lacks its newest entry"):
        read_ledger_verified(desk.store, desk.rule)


def test_a_forged_entry_is_no_entry(desk: StoreDesk) -> None:
    first = verify_ledger(desk.store.ledger(), desk.rule)[0]
    by_learner = first.signed_by(LEARNER_KEY)
    with pytest.raises(RoleForbidden):
        verify_ledger([by_learner], desk.rule)


def test_experiments_are_verified_and_never_go_back(desk: StoreDesk) -> None:
    memory = ReaderMemory()
    first = read_experiments_verified(desk.store, desk.rule, now_ms=NOW, memory=memory)
    assert first is not None
    memory.accept(first)
    older = ExperimentsRecord(experiment="homefeed", revision=first.revision - 1, by="ada", running=())
    hands = hands_on(desk)
    hands.put("experiments", older.signed_by(desk.decider().key))
    with pytest.raises(RevisionRegressed):
        read_experiments_verified(desk.store, desk.rule, now_ms=NOW, memory=memory)
    hands.put("experiments", older.signed_by(LEARNER_KEY))
    with pytest.raises(SignatureInvalid):
        read_experiments_verified(desk.store, desk.rule)
    hands.empty()
    with pytest.raises(RevisionRegressed, match="is empty"):
        read_experiments_verified(desk.store, desk.rule, memory=memory)


def test_a_canary_is_planned_by_the_experiment_file(desk: StoreDesk) -> None:
    document = desk.experiment.model_dump(mode="json") | {"guardrails": [{"name": "hides", "kinds": ["hide"]}]}
    document["serving"] |= {"canary_share": 0.1, "experiment_log_rate": 0.25}
    guarded = Experiment.model_validate(document)
    desk.publish("v1", preferring(guarded, repin=3), evaluation={"verdict": "pass"})
    desk.point(Channel.CANARY, "v1")
    found = planned_experiment(desk.store, "canary-v1", desk.rule, guarded)
    assert (found.share, found.log_rate, found.guardrails) == (0.2, 0.25, ("hides",))


def test_a_check_of_the_store_covers_both(desk: StoreDesk) -> None:
    assert [each for each in inspect_store(desk.store, desk.rule) if each.problem] == []
    hands_on(desk).put("ledger", desk.store.ledger()[0])
    problems = {each.subject: each.problem for each in inspect_store(desk.store, desk.rule) if each.problem}
    assert set(problems) == {"ledger"}
