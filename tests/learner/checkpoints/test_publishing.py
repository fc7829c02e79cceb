"""The channel that each verdict allows."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from event_schemas.experiment import Experiment
from learner.checkpoints.checkpoint import Checkpoint
from learner.checkpoints.publishing import Publisher, channel_for
from learner.judgement.gate import GateVerdict, Reason, Verdict
from policy_store.backends.memory_store import MemoryStore
from policy_store.backends.store_change import parse_record
from policy_store.decisions.governance import keep_fresh, point_channel
from policy_store.decisions.rebasing import rebase
from policy_store.decisions.record_places import Decider
from policy_store.decisions.verified_reading import read_channel_verified
from policy_store.records.channel_record import Channel
from policy_store.records.governed_record import SignedRecord
from policy_store.records.signing import Role, SigningKey, TrustedKeys
from policy_store.records.store_errors import ClocksDisagree, LeaseHeld, RevisionAhead, RevisionConflict
from tests.learner_samples import trust_of
from tests.policy_store.foreign_hands import MemoryHands

NOW = 1_800_000_000_000


def verdict(of: Verdict) -> GateVerdict:
    return GateVerdict(of, (Reason("code", "a sentence " * 100),))


@pytest.fixture
def publisher(experiment: Experiment) -> Publisher:
    key = SigningKey.generate(Role.LEARNER, "main")
    store = MemoryStore(experiment.name, clock=lambda: NOW)
    return Publisher(store, key, experiment, lambda: NOW, trust_of(key, experiment))


def test_a_pass_becomes_the_canary_and_verifies(publisher: Publisher, trained: Any) -> None:
    checkpoint = trained.report.checkpoint
    published = publisher.publish(checkpoint, verdict(Verdict.PASS))
    assert (published.version, published.channel, published.held) == (checkpoint.version, "canary", None)
    assert publisher.store.channel("stable") is None
    found = read_channel_verified(publisher.store, Channel.CANARY, publisher.rule, now_ms=NOW + 1)
    assert found is not None
    assert found.manifest == checkpoint.manifest
    assert found.channel.reason.startswith("pass: a sentence")


def test_inconclusive_reaches_shadow_and_refused_no_channel(publisher: Publisher, trained: Any) -> None:
    shadow = publisher.publish(trained.report.checkpoint, verdict(Verdict.INCONCLUSIVE))
    assert shadow.channel == "shadow"
    checkpoint = trained.report.checkpoint
    later = replace(checkpoint, manifest=checkpoint.manifest.model_copy(update={"version": "later"}))
    refused = publisher.publish(later, verdict(Verdict.REFUSE))
    assert (refused.channel, refused.revision) == (None, None)
    assert {manifest.version for manifest in publisher.store.list_checkpoints()} == {checkpoint.version, "later"}
    assert publisher.store.channel("stable") is None


def test_a_pass_waits_in_shadow_until_people_decide_whatever_comes_after_it(
    make_experiment: Callable[..., Experiment], trained: Any
) -> None:
    experiment = make_experiment(gate={"approval": "manual"})
    store = MemoryStore("small", clock=lambda: NOW)
    key = SigningKey.generate(Role.LEARNER, "m")
    publisher = Publisher(store, key, experiment, lambda: NOW, trust_of(key, experiment))
    passed = trained.report.checkpoint

    def shadow_after(of: Verdict, name: str) -> str:
        evaluation = passed.manifest.evaluation | {"verdict": of.value}
        manifest = passed.manifest.model_copy(update={"version": name, "evaluation": evaluation})
        publisher.publish(replace(passed, manifest=manifest), verdict(of))
        signed = store.channel("shadow")
        assert signed is not None
        return str(parse_record(signed).model_dump()["version"])

    assert shadow_after(Verdict.INCONCLUSIVE, "a") == "a"
    assert shadow_after(Verdict.PASS, "b") == "b"
    assert shadow_after(Verdict.INCONCLUSIVE, "c") == "b"
    assert "c" in store.versions() and not publisher.announced("c") and publisher.announced("a")
    assert shadow_after(Verdict.PASS, "d") == "d", "a newer pass takes its place"
    board = SigningKey.generate(Role.GOVERNANCE, "board")
    point_channel(store, Channel.STABLE, "d", Decider(by="ada", reason="", now_ms=NOW, key=board), ttl_ms=10**9)
    assert shadow_after(Verdict.INCONCLUSIVE, "e") == "e", "it was promoted"


@pytest.mark.parametrize(
    ("of", "approval", "channel"),
    [
        (Verdict.PASS, "auto", Channel.CANARY),
        (Verdict.PASS, "manual", Channel.SHADOW),
        (Verdict.INCONCLUSIVE, "auto", Channel.SHADOW),
        (Verdict.REFUSE, "auto", None),
    ],
)
def test_the_channel_follows_from_verdict_and_approval(of: Verdict, approval: str, channel: Channel | None) -> None:
    assert channel_for(of, approval) is channel


def test_readers_accept_what_the_learner_signs_under_manual_approval(
    make_experiment: Callable[..., Experiment], trained: Any
) -> None:
    experiment = make_experiment(gate={"approval": "manual"})
    store = MemoryStore("small", clock=lambda: NOW)
    key = SigningKey.generate(Role.LEARNER, "m")
    publisher = Publisher(store, key, experiment, lambda: NOW, trust_of(key, experiment))
    publisher.publish(trained.report.checkpoint, verdict(Verdict.PASS))
    assert read_channel_verified(publisher.store, Channel.SHADOW, publisher.rule, now_ms=NOW + 1) is not None


def test_another_learner_at_work_is_an_error_and_the_lease_is_given_back(publisher: Publisher, trained: Any) -> None:
    lease = publisher.store.acquire_lease("another", 60)
    with pytest.raises(LeaseHeld):
        publisher.publish(trained.report.checkpoint, verdict(Verdict.PASS))
    publisher.store.release_lease(lease)
    publisher.publish(trained.report.checkpoint, verdict(Verdict.PASS))
    publisher.store.release_lease(publisher.store.acquire_lease("another", 60))


def test_channels_in_use_are_kept_alive(publisher: Publisher, trained: Any) -> None:
    assert publisher.keep_alive() == []
    publisher.publish(trained.report.checkpoint, verdict(Verdict.PASS))
    store = publisher.store
    assert isinstance(store, MemoryStore)
    store.clock = lambda: NOW + 3_600_000
    later = replace(publisher, clock=lambda: NOW + 3_600_001)
    assert later.keep_alive() == ["canary"]
    found = read_channel_verified(later.store, Channel.CANARY, later.rule, now_ms=NOW + 1)
    assert found is not None
    assert found.expires_at == NOW + 3_600_000 + later.experiment.serving.checkpoint_ttl


def test_a_learner_goes_on_after_a_rebase(publisher: Publisher, trained: Any) -> None:
    """Its clock, or another writer's, was in 2037 once; kept alive, the same version is published again."""
    store, board = publisher.store, SigningKey.generate(Role.GOVERNANCE, "board")
    assert isinstance(store, MemoryStore)
    publisher.publish(trained.report.checkpoint, verdict(Verdict.PASS))
    far = NOW + 10 * 365 * 86_400_000
    for slot, record in (("channel:canary", store.channel("canary")), ("freshness:canary", None)):
        signed = record or keep_fresh(
            store, Channel.CANARY, Decider(by="l", reason="", now_ms=NOW, key=publisher.key), ttl_ms=1
        ).signed_by(publisher.key)
        parsed = parse_record(signed).model_copy(update={"revision": far})
        MemoryHands(store).publish_as_0_1_0(slot, parsed.signed_by(publisher.key))
    version = trained.report.checkpoint.version
    for publish in (publisher.keep_alive, lambda: publisher.withdraw(version, "its time is over")):
        with pytest.raises(RevisionAhead, match="hour ahead"):
            publish()
    trust = replace(publisher.rule, trusted=TrustedKeys.of(publisher.key, board))
    plan = rebase(store, trust, Decider(by="ada", reason="2037", now_ms=NOW, key=board))
    assert len(plan.voided) == 2
    assert publisher.publish(trained.report.checkpoint, verdict(Verdict.PASS)).channel == "canary"
    assert publisher.keep_alive() == ["canary"]
    assert read_channel_verified(store, Channel.CANARY, trust, now_ms=NOW) is not None


@pytest.mark.parametrize("off_ms", [2 * 3_600_000, -10 * 365 * 86_400_000])
def test_a_learner_whose_clock_is_wrong_publishes_nothing_and_gives_the_lease_back(
    publisher: Publisher, trained: Any, off_ms: int
) -> None:
    wrong = replace(publisher, clock=lambda: NOW + off_ms)
    with pytest.raises(ClocksDisagree):
        wrong.publish(trained.report.checkpoint, verdict(Verdict.PASS))
    assert publisher.store.channel("canary") is None
    assert publisher.publish(trained.report.checkpoint, verdict(Verdict.PASS)).channel == "canary"


class ContestedStore(MemoryStore):
    """Someone else writes to `stable` all the time."""

    def channel(self, name: str) -> SignedRecord | None:
        if name == "stable":
            raise RevisionConflict("stable: another record came first", fix="read it again")
        return super().channel(name)


def test_trouble_with_one_channel_does_not_let_another_expire(experiment: Experiment, trained: Any) -> None:
    key = SigningKey.generate(Role.LEARNER, "main")
    store = ContestedStore(experiment.name, clock=lambda: NOW)
    publisher = Publisher(store, key, experiment, lambda: NOW, trust_of(key, experiment))
    publisher.publish(trained.report.checkpoint, verdict(Verdict.INCONCLUSIVE))
    with pytest.raises(RevisionConflict):
        replace(publisher, clock=lambda: NOW + 1000).keep_alive()
    assert publisher.store.freshness("shadow") is not None


def another(checkpoint: Checkpoint, version: str) -> Checkpoint:
    return replace(checkpoint, manifest=checkpoint.manifest.model_copy(update={"version": version}))


def test_a_canary_keeps_its_place_and_the_next_pass_waits_in_shadow(publisher: Publisher, trained: Any) -> None:
    first = trained.report.checkpoint
    publisher.publish(first, verdict(Verdict.PASS))
    second = publisher.publish(another(first, "second"), verdict(Verdict.PASS))
    assert second.channel == "shadow"
    assert second.held == f"canary-{first.version} runs, and keeps its place until it has a verdict or is over"
    shadow = read_channel_verified(publisher.store, Channel.SHADOW, publisher.rule, now_ms=NOW + 1)
    assert shadow is not None and shadow.channel.reason.startswith(f"pass, but canary-{first.version} runs")
    publisher.withdraw(first.version, "visits is harmed")
    third = publisher.publish(another(first, "third"), verdict(Verdict.PASS))
    assert (third.channel, third.held) == ("canary", None)
    assert isinstance(publisher.store, MemoryStore)
    publisher.store.clock = lambda: NOW + 1000
    publisher.promote("third", "repin is superior")
    stable = read_channel_verified(publisher.store, Channel.STABLE, publisher.rule, now_ms=NOW + 1)
    assert stable is not None
    assert (stable.channel.version, stable.channel.reason) == ("third", "superior online: repin is superior")
    assert publisher.publish(another(first, "fourth"), verdict(Verdict.PASS)).channel == "canary"


def test_a_withdrawn_pass_waits_for_nobody(publisher: Publisher, trained: Any) -> None:
    evaluation = trained.report.checkpoint.manifest.evaluation | {"verdict": "pass"}
    passed = trained.report.checkpoint.manifest.model_copy(update={"evaluation": evaluation})
    checkpoint = replace(trained.report.checkpoint, manifest=passed)
    publisher.publish(checkpoint, verdict(Verdict.PASS))
    publisher.publish(checkpoint, verdict(Verdict.PASS), "it moves weights too far")
    assert publisher.publish(another(checkpoint, "second"), verdict(Verdict.INCONCLUSIVE)).channel is None
    publisher.withdraw(checkpoint.version, "visits is harmed")
    assert publisher.publish(another(checkpoint, "third"), verdict(Verdict.INCONCLUSIVE)).channel == "shadow"


def test_what_people_must_decide_waits_in_shadow(publisher: Publisher, trained: Any) -> None:
    checkpoint = trained.report.checkpoint
    published = publisher.publish(checkpoint, verdict(Verdict.PASS), "it changes 80 % of the arms")
    assert (published.channel, published.held) == ("shadow", "it changes 80 % of the arms")
    assert publisher.publish(another(checkpoint, "later"), verdict(Verdict.INCONCLUSIVE), "as above").held is None


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_nothing_becomes_a_canary_without_users_or_control(
    share: float, make_experiment: Callable[..., Experiment], publisher: Publisher, trained: Any
) -> None:
    lonely = make_experiment(serving={"canary_share": share})
    published = replace(publisher, experiment=lonely).publish(trained.report.checkpoint, verdict(Verdict.PASS))
    assert published.channel == "shadow"
    assert published.held is not None and "canary_share" in published.held


def test_only_the_canary_is_promoted_or_withdrawn(publisher: Publisher, trained: Any) -> None:
    publisher.publish(trained.report.checkpoint, verdict(Verdict.PASS))
    for act in (publisher.promote, publisher.withdraw):
        with pytest.raises(RevisionConflict, match="not the canary any more"):
            act("another", "because")
    assert publisher.store.channel("stable") is None
    publisher.store.release_lease(publisher.store.acquire_lease("another", 60))
