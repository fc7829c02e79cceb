"""Each numbered rule of `policy_store.records.revision_rules`, over generated records, orders and clocks."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_schemas.units import HOUR_MS
from policy_store.records import revision_rules
from policy_store.records.preference_record import PreferenceRecord, PreferenceTarget
from policy_store.records.revision_rules import (
    EPOCHS_BEYOND,
    MAX_REVISION,
    READER_TOLERANCE_MS,
    DecisionOrder,
    KillLatch,
    KnownRevision,
    ReaderMemory,
    VerifiedControl,
    control_revision,
    counted_claim,
    hinders_publishing,
    next_epoch,
    next_revision,
    next_token,
    require_clocks_agree,
    unlike_lifted,
)
from policy_store.records.store_errors import (
    ClocksDisagree,
    RecordFromFuture,
    RecordVoided,
    RevisionAhead,
    RevisionRegressed,
)
from tests.policy_store.control_samples import YEAR_MS, go, rebase_of, stop
from tests.policy_store.store_samples import NOW, PEOPLE

TIMES = st.integers(NOW - 10 * YEAR_MS, NOW + 10 * YEAR_MS)
ANY_REVISION = st.integers(1, MAX_REVISION) | TIMES | st.integers(1, 9)


def latch_of(*records: VerifiedControl, history: Sequence[VerifiedControl | None] = ()) -> KillLatch:
    latch = KillLatch()
    latch.learn(records, history)
    return latch


def preference(revision: int, reason: str = "") -> PreferenceRecord:
    alpha = PreferenceTarget.of(alpha=0.5)
    return PreferenceRecord(experiment="homefeed", revision=revision, by="ada", reason=reason, default=alpha)


def acceptable(memory: ReaderMemory, record: PreferenceRecord, clock_ms: int | None = None) -> bool:
    try:
        memory.require_acceptable(record.signed_by(PEOPLE), record, clock_ms)
    except (RecordVoided, RecordFromFuture, RevisionRegressed):
        return False
    memory.accept(record)
    return True


def test_the_rules_are_numbered_and_each_has_its_test() -> None:
    rules = [int(number) for number in re.findall(r"^(\d+)\. \*\*", revision_rules.__doc__ or "", flags=re.MULTILINE)]
    tested = {int(number) for name in globals() for number in re.findall(r"^test_rule_(\d+)_", name)}
    assert rules == list(range(1, len(rules) + 1))
    assert tested == set(rules)


@given(st.lists(ANY_REVISION, min_size=1, max_size=6), st.data())
def test_rule_1_a_kill_holds_until_a_resume_names_it(revisions: list[int], data: st.DataObject) -> None:
    kills = [stop(revision, reason=str(at)) for at, revision in enumerate(revisions)]
    named = [data.draw(st.lists(st.sampled_from(kills), min_size=1, max_size=3)) for _ in range(data.draw(INT_3))]
    resumes = [go(data.draw(ANY_REVISION), lifts=[each.hash for each in names]) for names in named]
    # In any order, in any batches, each as often as one likes.
    shown = data.draw(st.permutations([*kills, *resumes, *kills]))
    latch = KillLatch()
    for at, each in enumerate(shown):
        latch.learn([each] if at % 2 else [], [] if at % 2 else [each, None])
    lifted = {each.hash for names in named for each in names}
    assert {each.hash for each in latch.open_kills} == {each.hash for each in kills} - lifted
    assert latch.killed is bool(latch.open_kills)


INT_3 = st.integers(0, 3)


@given(ANY_REVISION, ANY_REVISION, st.integers(1, 5))
def test_rule_2_a_lifted_kill_stays_lifted_and_is_no_other_kill(revision: int, later: int, times: int) -> None:
    kill = stop(revision, reason="first")
    latch = latch_of(kill)
    latch.learn([go(later, lifts=[kill.hash])])
    for _ in range(times):
        latch.learn([kill], [kill])
    assert not latch.killed
    latch.learn([stop(revision, reason="second")])
    assert latch.killed


def old_history(choices: list[bool]) -> list[VerifiedControl]:
    """The history that version 0.1.0 leaves, newest first: each record over the one before."""
    records: list[VerifiedControl] = []
    for at, killed in enumerate(choices):
        parent = records[0].record.revision if records else None
        records.insert(0, stop(10 + at, parent) if killed else go(10 + at, parent))
    return records


@given(st.lists(st.booleans(), min_size=1, max_size=8), st.data())
def test_rule_3_a_resume_of_0_1_0_lifts_its_parents(choices: list[bool], data: st.DataObject) -> None:
    history = old_history(choices)
    assert latch_of(history[0], history=history).killed is choices[-1]
    # Nobody has to have seen it all at once, and an old kill replayed anywhere is lifted already.
    follower = KillLatch()
    for length in range(1, len(history) + 1):
        part = history[len(history) - length :]
        follower.learn([part[0]], part)
        assert follower.killed is choices[length - 1]
    replayed = data.draw(st.sampled_from(history))
    for latch in (follower, latch_of(replayed, history=history)):
        latch.learn([replayed], history)
        assert latch.killed is choices[-1]
    # A kill of the same revision by another client is another kill.
    revision = data.draw(st.sampled_from(history)).record.revision
    for latch in (follower, latch_of(history[0], history=history)):
        latch.learn([stop(revision, reason="another client")], history)
        assert latch.killed


@given(st.lists(st.sampled_from(["kill", "kill of 0.1.0", "resume of 0.1.0"]), max_size=10), st.data())
def test_rule_3_a_kill_of_this_version_is_lifted_by_no_resume_of_0_1_0(choices: list[str], data: st.DataObject) -> None:
    """Whatever the history contains, in any order, replayed or not."""
    history: list[VerifiedControl] = []
    for at, choice in enumerate(choices):
        parent = history[0].record.revision if history else None
        made = {"kill": stop(10 + at, 10 + at), "kill of 0.1.0": stop(10 + at, parent)}.get(choice, go(10 + at, parent))
        history.insert(0, made)
        if data.draw(st.booleans()):
            history.insert(0, data.draw(st.sampled_from(history)))
    kills = {each.hash for each in history if each.record.must_be_named}
    assert kills <= {each.hash for each in latch_of(*history, history=history).open_kills}


def test_rule_3_what_the_history_does_not_show_is_not_lifted() -> None:
    """The kill with that revision may be a different one, from a client that writes no history."""
    kill, resume = stop(9, 5), go(12, 9)
    for history in ([resume], [resume, None, kill], [resume, go(11, 8), kill], [kill, resume], [kill]):
        assert latch_of(kill, resume, history=history).killed
    assert not latch_of(kill, resume, history=[resume, kill]).killed


def test_rule_3_a_replayed_resume_of_0_1_0_lifts_what_it_lifted_once() -> None:
    old, new = stop(9), stop(9, reason="years later")
    resume = go(10, 9)
    history = [resume, new, resume, old]
    assert [each.hash for each in latch_of(resume, history=history).open_kills] == [new.hash]
    replayed = [go(7, 5), stop(5, 3), stop(3), stop(5, 3)]
    assert not latch_of(history=replayed).killed, "it may end in a kill that was lifted already"


def test_rule_3_what_a_reader_found_out_survives_its_restart() -> None:
    kill, resume = stop(9), go(10, 9)
    before = latch_of(history=[resume, kill])
    again = KillLatch()
    [(signed, lifts)] = before.resumes
    again.recall(VerifiedControl(signed, resume.record), lifts)
    again.learn([kill, stop(9, reason="another"), resume])
    assert [each.record.reason for each in again.open_kills] == ["another"]


@given(ANY_REVISION, st.integers(0, 4))
def test_rule_4_a_new_kill_was_never_lifted_before(revision: int, times: int) -> None:
    latch = KillLatch()
    for _ in range(min(times, revision - 1) + 1):
        record = unlike_lifted(stop(revision, revision).record, latch.lifted.__contains__)
        assert record.must_be_named
        kill = VerifiedControl(record.signed_by(PEOPLE), record)
        latch.learn([kill])
        assert latch.killed
        latch.learn([go(1, lifts=[kill.hash])])
        assert not latch.killed


@given(st.lists(ANY_REVISION, max_size=3), TIMES)
def test_rule_4_a_kill_has_a_revision_whatever_is_known(known: list[int], time_ms: int) -> None:
    revision = control_revision(known, time_ms)
    assert 1 <= revision <= MAX_REVISION
    assert revision > max([*known, time_ms]) or revision == MAX_REVISION


@given(st.lists(ANY_REVISION, max_size=4), TIMES)
def test_rule_5_the_next_revision_is_above_all_and_at_most_an_hour_ahead(known: list[int], time_ms: int) -> None:
    sources = [KnownRevision(revision, f"node {at}") for at, revision in enumerate(known)]
    highest = max(known, default=0)
    assert hinders_publishing(highest, time_ms) is (highest + 1 - time_ms > HOUR_MS)
    if hinders_publishing(highest, time_ms):
        with pytest.raises(RevisionAhead, match="from node"):
            next_revision("preference", sources, time_ms)
        return
    revision = next_revision("preference", sources, time_ms)
    assert revision == max([*known, time_ms]) + 1
    assert revision - time_ms <= HOUR_MS


@given(TIMES, TIMES | st.integers(NOW - 2 * HOUR_MS, NOW + 2 * HOUR_MS))
def test_rule_6_a_writer_whose_clock_differs_by_more_than_an_hour_is_told_both(own_ms: int, time_ms: int) -> None:
    if abs(own_ms - time_ms) <= HOUR_MS:
        require_clocks_agree(own_ms, time_ms)
        return
    with pytest.raises(ClocksDisagree, match=r"this machine's clock says .*Z, the store's .*Z"):
        require_clocks_agree(own_ms, time_ms)


@given(TIMES, TIMES | st.integers(NOW, NOW + 2 * HOUR_MS))
def test_rule_7_a_reader_refuses_the_far_future_and_looks_again(clock_ms: int, revision: int) -> None:
    memory, record = ReaderMemory(), preference(revision)
    ahead = revision - clock_ms > HOUR_MS + READER_TOLERANCE_MS
    assert acceptable(memory, record, clock_ms) is not ahead
    assert acceptable(memory, record, revision), "once the clock is right it is accepted"


@given(st.lists(st.integers(1, 30), min_size=1, max_size=12))
def test_rule_8_within_an_epoch_a_reader_never_goes_back(revisions: list[int]) -> None:
    memory, highest = ReaderMemory(), 0
    for revision in revisions:
        assert acceptable(memory, preference(revision)) is (revision >= highest)
        highest = max(highest, revision)
    with pytest.raises(RevisionRegressed, match="empty"):
        memory.require_never_seen("preference")
    memory.require_never_seen("channel:stable")


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 40)), min_size=1, max_size=10), st.integers(1, 99))
def test_rule_9_each_epoch_is_applied_once_in_rising_order(rebases: list[tuple[int, int]], highest: int) -> None:
    memory, epoch, floor = ReaderMemory({"preference": highest}), 0, highest
    for each, revision in rebases:
        new = each > epoch
        assert memory.apply(rebase_of(each, revision)) is new
        epoch, floor = max(epoch, each), min(floor, revision) if new else floor
        assert (memory.epoch, memory.highest["preference"]) == (epoch, floor)


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 60))
def test_rule_10_a_rebase_voids_for_good_and_lowers_to_its_revision(far: int, base: int, later: int) -> None:
    memory, voided = ReaderMemory(), preference(far)
    assert acceptable(memory, voided)
    memory.apply(rebase_of(1, base, [voided]))
    assert memory.highest["preference"] == min(far, base)
    assert not acceptable(memory, voided, far + 10 * YEAR_MS)
    assert acceptable(memory, preference(later, "another")) is (later >= min(far, base))
    assert not acceptable(memory, voided, far)


@given(st.integers(1, 60), st.integers(1, 60), st.booleans())
def test_rule_10_a_restart_raises_nothing_that_a_rebase_lowered(far: int, base: int, void: bool) -> None:
    record = preference(far)
    memory = ReaderMemory({"preference": far})
    memory.apply(rebase_of(1, base, [record] if void else []))
    again = ReaderMemory(dict(memory.highest), memory.epoch, set(memory.voided))
    again.recall(record.signed_by(PEOPLE), record)
    assert again == memory
    fresh = ReaderMemory(voided=set(memory.voided))
    fresh.recall(record.signed_by(PEOPLE), record)
    assert fresh.highest == ({} if void else {"preference": far})


@given(ANY_REVISION, st.integers(0, 5), st.lists(st.tuples(st.integers(1, 5), st.integers(1, 2**40)), max_size=4))
def test_rule_11_a_claim_of_an_earlier_epoch_is_what_the_node_will_remember(
    claim: int, epoch: int, made: list[tuple[int, int]]
) -> None:
    rebases = [rebase_of(*each) for each in dict(made).items()]
    node = ReaderMemory({"preference": claim}, epoch)
    for each in sorted(rebases, key=lambda rebase: rebase.epoch):
        node.apply(each)
    assert counted_claim(claim, epoch, rebases) == node.highest["preference"]


EPOCHS = st.integers(0, 5) | st.integers(0, 4 * EPOCHS_BEYOND) | st.integers(0, MAX_REVISION)


@given(st.lists(st.integers(1, 2**40), max_size=3), st.lists(EPOCHS, max_size=8), ANY_REVISION)
def test_rule_11_a_rebase_leads_out_of_any_reports_and_they_use_no_epochs_up(
    known: list[int], claimed: list[int], far: int
) -> None:
    epoch, highest = next_epoch(known, claimed), max(known, default=0)
    assert highest < epoch <= highest + 1 + len(claimed) * (EPOCHS_BEYOND + 1)
    assert not any(epoch <= each <= epoch + EPOCHS_BEYOND for each in claimed)
    made = [rebase_of(each, 5) for each in (*known, epoch)]
    assert all(counted_claim(far, each, made) <= 5 for each in claimed)


def test_rule_11_a_report_from_far_beyond_the_epochs_of_the_store_counts_for_nothing() -> None:
    for made in ([], [rebase_of(7, 5)]):
        last = (made[0].epoch if made else 0) + EPOCHS_BEYOND
        assert [counted_claim(9, each, made) for each in (last, last + 1, MAX_REVISION)] == [9, 0, 0]


@given(st.lists(st.lists(st.integers(1, 99), min_size=1, max_size=4), min_size=1, max_size=4))
def test_rule_12_decisions_are_ordered_by_epoch_before_revision(epochs: list[list[int]]) -> None:
    memory, earlier = ReaderMemory(), DecisionOrder()
    for epoch, revisions in enumerate(epochs):
        orders = [memory.order_of(preference(revision)) for revision in revisions]
        assert all(each > earlier for each in orders)
        assert [each.revision for each in sorted(orders)] == sorted(revisions)
        earlier = max(orders)
        memory.apply(rebase_of(epoch + 1, 1))


@given(st.integers(0, 2**53) | TIMES, st.lists(st.integers(-YEAR_MS, YEAR_MS), min_size=1, max_size=8))
def test_rule_13_each_lease_gets_a_token_of_its_own_near_the_stores_time(last: int, steps: list[int]) -> None:
    token, time_ms = last, NOW
    for step in steps:
        time_ms = max(time_ms + step, 1)
        before, token = token, next_token(token, time_ms)
        assert time_ms <= token <= time_ms + HOUR_MS
        assert token != before
