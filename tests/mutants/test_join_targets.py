"""What is mutated: all modules of two wings, each with its namesake test first and the stateful test last."""

from __future__ import annotations

import pytest

from tests.mutants.join_targets import LAST, ROOT, UnknownModule, targets


def test_every_module_has_its_namesake_first_and_the_stateful_test_last() -> None:
    found = {target.module: target for target in targets()}
    assert "stream_processors.rule.reference_join" in found
    assert not any("__init__" in module for module in found)
    for target in found.values():
        (namesake,), rest, last = target.stages
        assert namesake.endswith(f"/test_{target.path.name}")
        assert last == LAST
        assert all((ROOT / test).is_file() for test in target.tests)
        assert len(set(target.tests)) == len(target.tests)
        assert not set(rest) & {namesake, *LAST}


def test_modules_are_chosen_by_the_end_of_their_names() -> None:
    (chosen,) = targets(["expiry_queue"])
    assert chosen.module == "stream_processors.partition.expiry_queue"
    assert targets(["partition.expiry_queue", "fates"])[0].module == "stream_processors.rule.fates"
    with pytest.raises(UnknownModule, match="'queue'") as refused:
        targets(["queue"])
    assert "partition.expiry_queue" in refused.value.fix
