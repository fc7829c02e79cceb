"""The canaries that have run, and how they share the error budget."""

from __future__ import annotations

import math

import pytest

from event_schemas.units import DAY_MS
from policy_store.backends.memory_store import MemoryStore
from policy_store.decisions.canary_runs import RENEWAL_MS, CanaryRun, canary_runs
from policy_store.decisions.experiment_reading import planned_experiment, running_canary
from policy_store.decisions.governance import withdraw_canary
from policy_store.decisions.version_references import resolve_version
from policy_store.records.channel_record import Channel
from policy_store.records.rebase_record import RebaseRecord
from policy_store.records.store_errors import ExperimentRefused, UnknownCheckpoint
from tests.policy_store.foreign_hands import MemoryHands
from tests.serving_samples import DAY_MS as TTL_MS
from tests.serving_samples import GOVERNANCE_KEY, NOW, StoreDesk, preferring, serving_experiment


@pytest.fixture
def desk() -> StoreDesk:
    made = StoreDesk(serving_experiment())
    for version in ("v1", "v2", "v3"):
        made.publish(version, preferring(made.experiment, repin=3), evaluation={"verdict": "pass"})
    return made


def withdraw(desk: StoreDesk) -> None:
    withdraw_canary(desk.store, desk.decider(), ttl_ms=TTL_MS)


def runs_of(desk: StoreDesk) -> list[tuple[str, int, int | None, int]]:
    runs = canary_runs(desk.store, desk.rule)
    return [
        (each.version, each.start - NOW, None if each.end is None else each.end - NOW, each.number) for each in runs
    ]


def test_a_canary_ends_with_the_next_by_withdrawal_and_with_stable(desk: StoreDesk) -> None:
    assert runs_of(desk) == []
    steps: list[tuple[Channel, str | None]] = [
        (Channel.CANARY, "v1"),
        (Channel.CANARY, "v1"),
        (Channel.CANARY, "v2"),
        (Channel.CANARY, None),
        (Channel.CANARY, "v3"),
        (Channel.STABLE, "v3"),
        (Channel.CANARY, "v2"),
    ]
    for at, (channel, version) in enumerate(steps):
        desk.now = NOW + 1000 * at + 1
        if version is None:
            withdraw(desk)
        else:
            desk.point(channel, version)
    assert [(version, start // 1000, end and end // 1000) for version, start, end, _ in runs_of(desk)] == [
        ("v1", 0, 2),
        ("v2", 2, 3),
        ("v3", 4, 5),
        ("v2", 6, None),
    ]
    assert [number for *_, number in runs_of(desk)] == [1, 2, 3, 4]


def test_the_budget_of_ninety_days_is_never_exceeded(desk: StoreDesk) -> None:
    """A new canary every week for a year: whatever 90 days one takes, their shares add up to less than 1."""
    for week in range(52):
        desk.now = NOW + week * 7 * DAY_MS
        desk.point(Channel.CANARY, ("v1", "v2")[week % 2])
    runs = canary_runs(desk.store, desk.rule)
    assert [each.number for each in runs[:3]] == [1, 2, 3]
    assert runs[0].budget_share == pytest.approx(6 / math.pi**2)
    for first in runs:
        within = [each for each in runs if first.start <= each.start < first.start + RENEWAL_MS]
        assert sum(each.budget_share for each in within) < 1.0
    assert CanaryRun("v1", 1, None, 3).budget_share == pytest.approx(6 / math.pi**2 / 9)


def test_a_withdrawn_canary_does_not_run_and_is_still_planned(desk: StoreDesk) -> None:
    desk.point(Channel.CANARY, "v1")
    desk.now += 5000
    assert running_canary(desk.store, desk.rule) == "canary-v1"
    withdraw(desk)
    assert running_canary(desk.store, desk.rule) is None
    with pytest.raises(UnknownCheckpoint):
        resolve_version(desk.store, "canary", desk.rule)
    with pytest.raises(UnknownCheckpoint):
        withdraw(desk)
    desk.now += 5000
    found = planned_experiment(desk.store, "canary-v1", desk.rule, desk.experiment)
    assert (found.planned_end - found.start) // 1000 == 5, "it ended when it was withdrawn"
    desk.now += 90_000
    desk.point(Channel.CANARY, "v1")
    again = planned_experiment(desk.store, "canary-v1", desk.rule, desk.experiment)
    assert (again.start - found.start) // 1000 == 100, "only its newest run is read"
    with pytest.raises(ExperimentRefused):
        planned_experiment(desk.store, "canary-v2", desk.rule, desk.experiment)


@pytest.mark.parametrize(("channel", "running", "runs"), [("canary", None, []), ("stable", "canary-v1", [None])])
def test_what_a_rebase_voids_starts_and_ends_no_canary(
    desk: StoreDesk, channel: str, running: str | None, runs: list[int | None]
) -> None:
    desk.point(Channel.CANARY, "v1")
    if channel == "stable":
        desk.now += 1000
        desk.point(Channel.STABLE, "v2")
    signed = desk.store.channel(channel)
    assert signed is not None
    voiding = RebaseRecord(
        experiment=desk.experiment.name, epoch=1, revision=desk.now, by="ada", voids=(signed.hash,)
    ).signed_by(GOVERNANCE_KEY)
    assert isinstance(desk.store, MemoryStore)
    MemoryHands(desk.store).put("rebase", voiding)
    assert running_canary(desk.store, desk.rule) == running
    assert [each.end for each in canary_runs(desk.store, desk.rule)] == runs
