"""What the store says: each question on its own, verified, on a store in memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from event_schemas.experiment import Experiment, load_experiment
from event_schemas.section_digests import section_digests
from learner.checkpoints.checkpoint import Checkpoint, CheckpointShelf
from learner.examples.learner_errors import CheckpointBroken
from policy_store.backends.memory_store import MemoryStore
from policy_store.backends.redis_store import RedisStore
from policy_store.backends.store import NodeStatus
from policy_store.decisions import FileDifference
from policy_store.decisions.governance import (
    approve_proposal,
    point_channel,
    propose_preference,
    publish_checkpoint,
    withdraw_canary,
)
from policy_store.decisions.kill_decisions import kill
from policy_store.decisions.verification import TrustRule
from policy_store.records.channel_record import Channel
from policy_store.records.preference_record import PreferenceTarget
from policy_store.records.store_errors import StoreRefused, StoreUnreachable
from tests.components.free_port import free_port
from tests.policy_store.store_samples import (
    BLOBS,
    LEARNER,
    NOW,
    TRUSTED,
    TTL_MS,
    learner,
    manifest,
    people,
    set_preference,
)
from trimtab.status.status_facts import LearnedFacts, StoreFacts
from trimtab.status.store_facts import StoreQuestions, learned_facts, newest_on_shelf

REASONS = [{"code": "harmless", "sentence": "every lift lies above -1.0%"}, "odd"]
EVALUATION = {"verdict": "pass", "reasons": REASONS}


@pytest.fixture
def experiment(experiment_file: Path) -> Experiment:
    return load_experiment(experiment_file)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore("homefeed")


def questions(store: MemoryStore | RedisStore, experiment: Experiment) -> StoreQuestions:
    rule = TrustRule(TRUSTED, experiment.name, experiment.action_space.digest)
    return StoreQuestions(store, rule, experiment, NOW)


def put(store: MemoryStore, experiment: Experiment, version: str, age: int = 0) -> None:
    space = experiment.action_space.digest
    made = manifest("homefeed", version, action_space=space, created_at=NOW + age, evaluation=EVALUATION)
    publish_checkpoint(store, made, BLOBS, LEARNER)


def test_an_empty_store(store: MemoryStore, experiment: Experiment) -> None:
    asked = questions(store, experiment)
    facts = asked.answers()
    assert replace(facts, channels=()) == StoreFacts(preference="α = 0.1 (experiment file)")
    assert {each.channel: each.state for each in facts.channels} == dict.fromkeys(
        ("stable", "canary", "shadow"), "empty"
    )
    assert asked.faults == {}


def test_what_was_decided(store: MemoryStore, experiment: Experiment) -> None:
    for age, version in enumerate(("v1", "v2")):
        put(store, experiment, version, age)
        point_channel(store, Channel.STABLE, version, people(), ttl_ms=TTL_MS)
    point_channel(store, Channel.STABLE, "v1", people(reason="back"), ttl_ms=TTL_MS)
    point_channel(store, Channel.CANARY, "v2", learner(), ttl_ms=TTL_MS)
    stop = kill(store, people(reason="incident 42"))
    store.heartbeat("n1", {"versions": {"stable": "v1"}}, 60)
    propose_preference(store, "p-1", None, PreferenceTarget.of(alpha=0.3), people())
    propose_preference(store, "p-2", "CORE", PreferenceTarget.of(alpha=0.5), people())
    approve_proposal(store, "p-1", None, people(), questions(store, experiment).rule)
    store.acquire_lease("host-1 process 7", 60)
    facts = questions(store, experiment).answers()
    assert facts.learner == facts.as_dict()["learner"] == "host-1 process 7"
    assert facts.newest == LearnedFacts("v2", NOW + 1, "pass", ("every lift lies above -1.0%",), ("harmless",))
    assert facts.in_shadow is None
    point_channel(store, Channel.SHADOW, "v1", learner(), ttl_ms=TTL_MS)
    in_shadow = questions(store, experiment).answers().in_shadow
    assert in_shadow is not None and (in_shadow.version, in_shadow.verdict) == ("v1", "pass")
    assert (facts.stable.version, facts.stable.by, facts.stable_before) == ("v1", "ada", frozenset({"v1", "v2"}))
    assert "may not sign" in facts.channels[1].state and "governance key" in str(facts.channels[1].fix)
    assert [each.record and each.record.reason for each in facts.open_kills] == [stop.reason]
    assert [node.versions for node in facts.nodes] == [{"stable": "v1"}]
    assert facts.proposals == ("p-2",)
    assert facts.preference is not None and facts.preference.startswith("α = 0.3 (revision ")


def test_what_is_wrong_with_one_answer_hides_no_other(store: MemoryStore, experiment: Experiment) -> None:
    put(store, experiment, "v1")
    point_channel(store, Channel.STABLE, "v1", people(), ttl_ms=TTL_MS)
    publish_checkpoint(store, manifest("homefeed", "v2", created_at=NOW + 1), BLOBS, LEARNER)
    set_preference(store, PreferenceTarget.of(alpha=1.0), replace(people(), key=LEARNER))
    asked = questions(store, experiment)
    facts = asked.answers()
    assert set(asked.faults) == {"newest checkpoint", "preference"}
    assert "action space" in asked.faults["newest checkpoint"].what
    assert (facts.newest, facts.preference, facts.stable.version) == (None, None, "v1")


def test_who_differs_and_who_refuses_even_if_the_arms_differ(store: MemoryStore, experiment: Experiment) -> None:
    ours = section_digests(experiment)
    put(store, experiment, "v1")
    record = point_channel(store, Channel.STABLE, "v1", people(), ttl_ms=TTL_MS)
    other = manifest("homefeed", "v2", created_at=NOW + 1, section_digests=ours | {"weights": "other"})
    publish_checkpoint(store, other, BLOBS, LEARNER)
    judged = {"version": "v1", "revision": record.revision}
    refusing = {"stable": {"result": "contract", "notes": [], "judged": judged}}
    store.heartbeat("n1", {"section_digests": ours, "channels": refusing}, 60)
    asked = questions(store, experiment)
    facts = asked.answers()
    assert facts.differences == (FileDifference("learner", "v2", ("weights",)),)
    assert (facts.stable.version, facts.stable.refused_by) == ("v1", ("n1",))
    assert set(asked.faults) == {"newest checkpoint"}, "its arms are others, but its manifest is compared"


def test_nodes_that_cannot_be_read_hide_no_channel(experiment: Experiment) -> None:
    class Guarded(MemoryStore):
        def nodes(self) -> list[NodeStatus]:
            raise StoreRefused("NOPERM", fix="check the ACL")

    store = Guarded("homefeed")
    put(store, experiment, "v1")
    point_channel(store, Channel.STABLE, "v1", people(), ttl_ms=TTL_MS)
    asked = questions(store, experiment)
    facts = asked.answers()
    assert (set(asked.faults), facts.stable.version, facts.nodes) == ({"nodes"}, "v1", ())


def test_a_store_that_does_not_answer_is_asked_once(experiment: Experiment) -> None:
    with pytest.raises(StoreUnreachable):
        questions(RedisStore(f"redis://127.0.0.1:{free_port()}/0", "homefeed"), experiment).answers()


def test_a_manifest_without_a_verdict() -> None:
    bare = manifest("homefeed", "v1", evaluation={"reasons": "none"})
    assert learned_facts(bare, published=False) == LearnedFacts("v1", NOW, None, published=False)


def test_the_shelf_of_this_machine(experiment: Experiment, tmp_path: Path) -> None:
    assert newest_on_shelf(tmp_path, experiment) is None
    folder = tmp_path / "learner" / "homefeed" / "checkpoints"
    first, second = "20240501T120000000Z-0a1b2c3d", "20240502T120000000Z-0a1b2c3e"
    window = {"lineage": [{"version": "cleared away"}, {"version": 7}, "junk"]}
    for look, version in enumerate((first, second), start=1):
        made = manifest("homefeed", version, evaluation={"look": look}, window=window)
        CheckpointShelf(folder).save(Checkpoint(made, BLOBS, b""))
    found = newest_on_shelf(tmp_path, experiment)
    assert found is not None and (found.version, found.published) == (second, False)
    assert found.older == {first, "cleared away"}
    (folder / found.version / "manifest.json").write_bytes(b"junk")
    with pytest.raises(CheckpointBroken, match=found.version):
        newest_on_shelf(tmp_path, experiment)


def test_the_canary_and_what_was_withdrawn(store: MemoryStore, experiment: Experiment) -> None:
    def found() -> tuple[str | None, frozenset[str]]:
        facts = questions(store, experiment).answers()
        return facts.canary, facts.withdrawn_before

    for version in ("v1", "v2"):
        put(store, experiment, version)
    point_channel(store, Channel.CANARY, "v1", people(), ttl_ms=TTL_MS)
    assert found() == ("v1", frozenset())
    withdraw_canary(store, people(), ttl_ms=TTL_MS)
    assert found() == (None, frozenset({"v1"}))
    point_channel(store, Channel.CANARY, "v2", people(), ttl_ms=TTL_MS)
    assert found() == ("v2", frozenset({"v1"}))
    point_channel(store, Channel.STABLE, "v1", people(), ttl_ms=TTL_MS)
    assert found() == (None, frozenset({"v1"})), "a decision about stable ends it"
