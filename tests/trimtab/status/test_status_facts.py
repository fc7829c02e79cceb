"""Facts as plain JSON, and which checkpoint is the newest."""

from __future__ import annotations

import json
from dataclasses import replace

from event_schemas.errors import SettingError
from tests.trimtab.status.status_samples import LOG, NEWER, OLD, OPEN_KILL, PASSED, STORE, WELL
from trimtab.status.status_facts import StatusFacts, StoreFacts


def test_the_newest_checkpoint_is_the_stores_or_this_machines() -> None:
    here = replace(NEWER, created_at=2, published=False)
    assert WELL.learned == PASSED
    assert replace(WELL, shelf=here).learned == here
    assert replace(WELL, shelf=replace(PASSED, published=False)).learned == PASSED, "the same one, published"
    assert StatusFacts("x", 0, shelf=here).learned == here
    assert StatusFacts("x", 0, store=StoreFacts()).learned is None


def test_the_stable_channel_of_a_store_without_channels_is_empty() -> None:
    assert STORE.stable.version == OLD
    assert StoreFacts().stable.state == "empty"


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
    }
    assert told["faults"] == {"nodes": {"error": "odd", "fix": "mend it"}}
    assert (told["learned"]["version"], told["learned"]["verdict"], told["learned"]["published"]) == (OLD, "pass", True)
    assert [each["hash"] for each in told["store"]["open_kills"]] == [OPEN_KILL.hash]
    assert told["store"]["nodes"][0]["node"] == "ranker-7"
    assert told["store"]["open_proposals"] == ["p-1"]
    nothing = StatusFacts("x", 0).as_dict()
    assert (nothing["log"], nothing["learned"], nothing["store"], nothing["faults"]) == (None, None, None, {})
