"""Who has another experiment file, as far as heartbeats and manifests say."""

from __future__ import annotations

from typing import Any

import pytest

from policy_store.backends.store import NodeStatus
from policy_store.decisions.file_differences import FileDifference, file_differences
from tests.policy_store.store_samples import manifest

OURS = {"weights": "1", "gate": "2"}


def test_the_learner_comes_first_and_equal_files_are_left_out() -> None:
    nodes = [NodeStatus("n1", {"section_digests": OURS}), NodeStatus("n2", {"section_digests": {**OURS, "join": "9"}})]
    learner = manifest("homefeed", "v7", section_digests={"weights": "4", "gate": "5"})
    found = file_differences(OURS, nodes, learner)
    assert found == [FileDifference("learner", "v7", ("weights", "gate")), FileDifference("node", "n2", ("join",))]
    assert [each.describe() for each in found] == [
        "the learner of v7 had another [weights], [gate] in its experiment file",
        "node n2 has another [join] in its experiment file",
    ]
    assert ["until its next run" in each.fix for each in found] == [True, False]
    assert found[1].as_dict() == {"process": "node", "name": "n2", "sections": ["join"]}


@pytest.mark.parametrize("status", [{}, {"section_digests": None}, {"section_digests": ["gate"]}])
def test_a_process_that_does_not_say_is_not_compared(status: dict[str, Any]) -> None:
    assert file_differences(OURS, [NodeStatus("old", status)], manifest("homefeed")) == []
    assert file_differences(OURS, [], None) == []
