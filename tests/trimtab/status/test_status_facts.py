"""Facts as plain JSON, and which checkpoint is the newest."""

from __future__ import annotations

import json
from dataclasses import replace

from event_schemas.errors import SettingError
from policy_store.decisions import FileDifference
from tests.trimtab.status.status_samples import LOG, NEW, NEWER, OLD, OPEN_KILL, PASSED, STORE, WELL
from trimtab.status.status_facts import StatusFacts, StoreFacts


def test_the_newest_checkpoint_follows_lineage_not_clocks() -> None:
    later = replace(NEWER, created_at=2, published=False)
    assert WELL.learned == PASSED
    assert replace(WELL, shelf=later).learned == PASSED, "nothing says that this machine knows the store's"
    continued = replace(later, created_at=0, older=frozenset({OLD}))
    assert replace(WELL, shelf=continued).learned == continued
    both = replace(WELL, shelf=continued, store=replace(STORE, versions=frozenset({OLD, NEW})))
    assert both.learned == replace(continued, published=True), "a store that version 0.1.0 ordered by clocks"
    assert replace(WELL, shelf=replace(PASSED, published=False)).learned == PASSED, "the same one, published"
    assert StatusFacts("x", 0, shelf=later).learned == later
    assert StatusFacts("x", 0, store=StoreFacts()).learned is None


def test_the_stable_channel_of_a_store_without_channels_is_empty() -> None:
    assert STORE.stable.version == OLD
    assert StoreFacts().stable.state == "empty"


def test_a_join_with_another_window_has_another_file() -> None:
    node = FileDifference("node", "ranker-7", ("gate",))
    facts = replace(WELL, window=2_100_000, store=replace(STORE, differences=(node,)))
    assert facts.differences == (node,), "the join has not committed yet"
    other = replace(facts, log=replace(LOG, windows=(900_000, 2_100_000)))
    [join, also] = other.differences
    assert join.describe() == "the join with window 15m has another [objectives] or [join] in its experiment file"
    assert also == node
    assert other.as_dict()["differing_files"] == [join.as_dict(), node.as_dict()]


def test_facts_are_json() -> None:
    facts = replace(
        WELL,
        store=replace(STORE, open_kills=(OPEN_KILL,), proposals=("p-1",)),
        log=replace(LOG, lag={0: 4, 1: 5}, workers=None),
        faults={"nodes": SettingError("odd", fix="mend it")},
    )
    told = json.loads(json.dumps(facts.as_dict()))
    assert told["log"] == {
        "unprocessed": 9,
        "workers": None,
        "events": 900,
        "examples": 300,
        "dead_letters": 3,
        "lag_by_partition": {"0": 4, "1": 5},
        "windows_ms": [],
    }
    assert told["faults"] == {"nodes": {"error": "odd", "fix": "mend it"}}
    assert (told["learned"]["version"], told["learned"]["verdict"], told["learned"]["published"]) == (OLD, "pass", True)
    assert "older" not in told["learned"]
    assert [each["hash"] for each in told["store"]["open_kills"]] == [OPEN_KILL.hash]
    assert told["store"]["nodes"][0]["node"] == "ranker-7"
    assert told["store"]["open_proposals"] == ["p-1"]
    nothing = StatusFacts("x", 0).as_dict()
    assert (nothing["log"], nothing["learned"], nothing["store"], nothing["faults"]) == (None, None, None, {})
