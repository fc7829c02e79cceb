"""Key names follow the contract, share one hash tag, and cannot leave it."""

from __future__ import annotations

import pytest

from policy_store.backends.key_names import KeyNames
from policy_store.records.store_errors import RecordMalformed

KEYS = KeyNames("homefeed")


def test_the_names_are_those_of_the_contract() -> None:
    prefix = "trimtab:{homefeed}:"
    assert KEYS.checkpoint("v1") == prefix + "checkpoint:v1"
    assert KEYS.slot("channel:stable") == prefix + "channel:stable"
    assert KEYS.slot("preference") == prefix + "preference"
    assert KEYS.slot("rebase") == prefix + "rebase"
    assert (KEYS.kills, KEYS.resumes) == (prefix + "kills", prefix + "resumes")
    assert KEYS.proposals == prefix + "proposals"
    assert KEYS.node("n1") == prefix + "nodes:n1"
    assert KEYS.audit == prefix + "audit"
    assert KEYS.updates == prefix + "updates"
    assert KEYS.lease == prefix + "lease:learner"


def test_no_two_keys_share_a_name() -> None:
    names = [
        *(KEYS.checkpoint("v"), KEYS.upload("v"), KEYS.slot("v"), KEYS.history("v"), KEYS.node("v")),
        *(
            KEYS.kills,
            KEYS.resumes,
            KEYS.checkpoint_index,
            KEYS.node_index,
            KEYS.proposals,
            KEYS.audit,
            KEYS.updates,
            KEYS.lease,
            KEYS.fence,
        ),
    ]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", ["", "a}b", "a b", "{a}", "a:b", "x" * 129, "a\n"])
def test_a_name_that_would_leave_the_hash_tag_is_refused(name: str) -> None:
    with pytest.raises(RecordMalformed, match="Redis key"):
        KeyNames(name)
