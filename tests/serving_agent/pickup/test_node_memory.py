"""What a node remembers: merging two memories loses nothing, and little is ever dropped."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from policy_store.records.governed_record import SignedRecord
from policy_store.records.revision_rules import ReaderMemory
from serving_agent.pickup.node_memory import KEPT, NodeMemory
from tests.policy_store.control_samples import rebase_of


def signed(name: object) -> SignedRecord:
    return SignedRecord(str(name).encode(), b"\x00\xff", "governance/x")


RECORDS = st.sampled_from([signed(name) for name in "abcdef"])
HASHES = st.sampled_from([signed(name).hash for name in "abcdef"])
MEMORIES = st.builds(
    NodeMemory,
    revisions=st.dictionaries(st.sampled_from(["preference", "channel:stable"]), st.integers(1, 9)),
    kills=st.lists(RECORDS, unique=True).map(tuple),
    resumes=st.dictionaries(RECORDS, st.lists(HASHES, unique=True, max_size=3).map(tuple)),
    epoch=st.integers(0, 2),
    voided=st.frozensets(HASHES),
)


@given(MEMORIES)
def test_reads_back_what_was_encoded(memory: NodeMemory) -> None:
    assert NodeMemory.decoded(json.loads(json.dumps(memory.encoded()))) == memory
    assert NodeMemory.decoded({}) == NodeMemory()


@given(MEMORIES, MEMORIES)
def test_a_merged_memory_knows_what_either_knew(one: NodeMemory, other: NodeMemory) -> None:
    both = one.merged(other)
    assert set(both.kills) == {*one.kills, *other.kills}
    assert both.voided == one.voided | other.voided
    assert set(both.resumes) == {*one.resumes, *other.resumes}
    for memory in (one, other):
        assert all(set(lifts) <= set(both.resumes[resume]) for resume, lifts in memory.resumes.items())
        if memory.epoch == both.epoch:
            assert all(both.revisions[slot] >= revision for slot, revision in memory.revisions.items())
    assert both.epoch == max(one.epoch, other.epoch)
    assert both.merged(one) == both
    assert one.merged(NodeMemory()) == one or one.epoch == 0


def test_a_revision_that_a_rebase_lowered_does_not_come_back() -> None:
    reader = ReaderMemory({"preference": 2036})
    before = NodeMemory(revisions=dict(reader.highest))
    reader.apply(rebase_of(1, 2026))
    after = NodeMemory(revisions=dict(reader.highest), epoch=reader.epoch)
    assert before.merged(after).revisions == after.merged(before).revisions == {"preference": 2026}


def test_lifted_kills_and_resumes_are_bounded_and_kills_that_hold_are_not() -> None:
    many = 3 * KEPT
    kills = tuple(signed(number) for number in range(many))
    resumes = {signed(f"resume {number}"): (kills[number].hash,) for number in range(0, many, 2)}
    lifted = {name for lifts in resumes.values() for name in lifts}
    holding = [each for each in kills if each.hash not in lifted]
    memory = NodeMemory(kills=kills, resumes=resumes)
    bounded = memory.bounded(lifted)
    past = [each for each in bounded.kills if each.hash in lifted]
    assert [each for each in bounded.kills if each.hash not in lifted] == holding
    assert past == [each for each in kills if each.hash in lifted][-KEPT:]
    named = {name for lifts in bounded.resumes.values() for name in lifts}
    assert {each.hash for each in past} <= named, "what is remembered of a lifted kill lifts it"
    assert len(bounded.resumes) <= 2 * KEPT
    assert bounded.bounded(lifted) == bounded
    assert memory.bounded(()).kills == kills, "a resume that nobody believes lifts nothing"


def test_a_resume_that_lifts_a_kill_we_keep_is_kept_however_old() -> None:
    kill, old = signed("kill"), signed("old")
    later = {signed(number): (signed(f"other {number}").hash,) for number in range(2 * KEPT)}
    memory = NodeMemory(kills=(kill,), resumes={old: (kill.hash,), **later})
    bounded = memory.bounded({kill.hash})
    assert bounded.resumes[old] == (kill.hash,)
    assert len(bounded.resumes) == KEPT + 1
    assert replace(bounded, resumes={}).kills == (kill,)
