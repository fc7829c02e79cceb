"""What `trimtab policy` lists, on 80 columns, with ids as long as real ones."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from event_schemas.units import HOUR_MS
from policy_store.backends.memory_store import MemoryStore
from policy_store.backends.store_change import parse_record
from policy_store.decisions.governance import point_channel, propose_preference, publish_checkpoint
from policy_store.decisions.inspection import inspect_store
from policy_store.decisions.kill_decisions import kill
from policy_store.decisions.overview import store_overview
from policy_store.records.canonical_json import parse_object
from policy_store.records.channel_record import Channel
from policy_store.records.experiment_record import ExperimentsRecord
from policy_store.records.preference_record import PreferenceTarget
from tests.policy_store.experiment_samples import plan
from tests.policy_store.foreign_hands import MemoryHands
from tests.policy_store.store_samples import BLOBS, LEARNER, NOW, PEOPLE, TTL_MS, learner, manifest, people, rule
from trimtab.commands.policy import _checkpoint_row
from trimtab.policy_listings import (
    NO_POLICY,
    checkpoint_listing,
    history_listing,
    overview_listings,
    preference_listing,
    proposal_listing,
    verification_listing,
)
from trimtab.tables import Listing, show

OLD, NEW = "20240501T120000000Z-0a1b2c3d", "20240502T120000000Z-0a1b2c3e"
REASON = "[gate overridden: inconclusive] because the board looked at all the numbers twice, and said so in its minutes"
RULE = rule("homefeed")
OURS = {"weights": "1", "gate": "2"}
NODE = "ranker-7.eu-west-1.example.com"
Printed = Callable[..., list[str]]


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore("homefeed")
    for age, (version, parent) in enumerate(((OLD, None), (NEW, OLD))):
        made = manifest("homefeed", version, created_at=NOW + age, parent=parent)
        publish_checkpoint(store, made, BLOBS, LEARNER)
    point_channel(store, Channel.STABLE, OLD, people(), ttl_ms=TTL_MS)
    point_channel(store, Channel.STABLE, NEW, people(reason=REASON), ttl_ms=TTL_MS)
    point_channel(store, Channel.CANARY, NEW, learner(), ttl_ms=TTL_MS)
    return store


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Printed:
    monkeypatch.setenv("COLUMNS", "80")

    def printed(*parts: Listing | str) -> list[str]:
        show(*parts)
        found = capsys.readouterr().out.splitlines()
        assert max(map(len, found)) <= 80, found
        return found

    return printed


def whole(lines: list[str], word: str) -> int:
    """How often the word stands on one line."""
    return sum(word in re.split(r"[\s;,]+", line) for line in lines)


def test_the_overview(store: MemoryStore, lines: Printed) -> None:
    stop = kill(store, people(reason="incident 42: sessions fell after the release of Monday")).signed_by(PEOPLE)
    refused = {"shadow": {"result": "q_drift", "notes": ["PSI 0.9"]}}
    versions = {"stable": OLD, "canary": NEW}
    since = {"stable": NOW, "canary": NOW + HOUR_MS}
    store.heartbeat(NODE, {"versions": versions, "since": since, "channels": refused, "epoch": 3}, 60)
    found = lines(*overview_listings(store_overview(store, RULE, store.time_ms(), OURS)))
    assert found[0] == "experiment homefeed   killed: yes   epoch: 0   audit: 6"
    assert found[1] == "learner: none has the lease"
    assert (whole(found, OLD), whole(found, NEW), whole(found, stop.hash)) == (1, 3, 1)
    assert "    refused what shadow points to: q_drift: PSI 0.9" in found
    assert f"{NODE}  {OLD}  2023-11-14 22:13" in found
    assert f"    canary {NEW}, since 2023-11-14 23:13" in found
    assert "processes with another experiment file than this one: none" in found
    assert any(line.startswith("    by ada: [gate overridden: inconclusive]") for line in found)
    assert any(line.startswith("canary") and line.endswith("not valid") for line in found)
    assert "key learner/main with role learner may not sign records for this slot; fix:" in " ".join(
        " ".join(found).split()
    )


def test_who_refuses_what_and_why(store: MemoryStore, lines: Printed) -> None:
    """A record that is valid by this command's file, and refused by nodes that have another one."""
    signed = store.channel("stable")
    assert signed is not None
    revision = parse_record(signed).revision
    judged = {"version": NEW, "revision": revision}
    forbidden = {"result": "unverified", "notes": ["the learner may not sign it"], "judged": judged}
    for number in range(5):
        status = {"channels": {"stable": forbidden}, "section_digests": OURS | {"gate": "3"}}
        store.heartbeat(f"n{number}", status, 60)
    store.heartbeat("n5", {"channels": {"stable": forbidden | {"result": "expired"}}, "killed": True}, 60)
    store.heartbeat("n6", {"versions": {"stable": NEW}, "since": {"stable": NOW}, "withheld": "drift"}, 60)
    found = lines(*overview_listings(store_overview(store, RULE, store.time_ms(), OURS)))
    stable = next(line for line in found if line.startswith("stable"))
    assert stable.split()[1:] == [NEW, str(revision), "refused", "by", "6", "of", "7"]
    assert "    refused by n0, n1, n2 and 2 more: unverified: the learner may not sign it" in found
    assert "    refused by n5: expired: the learner may not sign it" in found
    at = found.index(f"n0    {NO_POLICY}")
    assert found[at + 1] == f"    refused {NEW} on stable: unverified: the learner may"
    at = found.index("processes with another experiment file than this one")
    assert found[at + 2 : at + 5] == ["node     n0", "    differs in [gate]", "node     n1"]
    assert found[at + 12] == "    fix: give every process and this command the same experiment file, and"
    at = found.index(f"n6    {NO_POLICY}")
    assert found[at + 1] == f"    withheld: drift; its policy on stable is {NEW}"


def test_checkpoints_and_history(store: MemoryStore, lines: Printed) -> None:
    found = lines(checkpoint_listing([_checkpoint_row(each) for each in store.list_checkpoints()]))
    assert (whole(found, OLD), whole(found, NEW)) == (2, 1)
    kill(store, people())
    for slot in ("channel:stable", "control"):
        signed = store.history(slot)
        rows = [parse_object(each.record, slot) | {"key_id": each.key_id, "hash": each.hash} for each in signed]
        found = lines(history_listing(slot, rows))
        assert all(whole(found, each.hash) == 1 and whole(found, each.key_id) == len(signed) for each in signed)


def test_a_checkpoint_is_listed_with_what_it_answers(store: MemoryStore, lines: Printed) -> None:
    said = {"answer": "proposal", "selection": "sample", "preference": {"repin": 0.25, "save": 0.75}}
    row = _checkpoint_row(store.list_checkpoints()[0])
    assert "    answers with values (argmax)" in lines(checkpoint_listing([row]))
    assert "    answers with proposal (sample), only for repin 0.25, save 0.75" in lines(
        checkpoint_listing([row | said])
    )


def test_findings_and_proposals(store: MemoryStore, lines: Printed) -> None:
    found = lines(verification_listing(inspect_store(store, RULE)))
    assert whole(found, NEW) == 1
    assert "    channel:canary: key learner/main with role learner may not sign records for" in found
    propose_preference(store, "p-0a1b2c3d4e5f", "CORE", PreferenceTarget.of(alpha=0.3), people())
    found = lines(proposal_listing(store.proposals()))
    assert found[2].startswith("p-0a1b2c3d4e5f  open    ")
    assert found[3] == "    α = 0.3 for CORE, by ada: looks good"


def test_the_preference_in_force(lines: Printed) -> None:
    default = {"alpha": 0.1, "objective_weights": {"repin": 0.1, "click": 0.9}}
    content = {
        "revision": None,
        "by": "experiment file",
        "default": default,
        "cohorts": {"CORE": {"objective_weights": None}},
    }
    assert lines(preference_listing(content)) == [
        "preference, revision None, by experiment file",
        "for             alpha  objective weights",
        "everybody else  0.1    repin 0.1, click 0.9",
        "CORE                   not chosen yet",
    ]


def test_experiments_are_listed_and_a_forged_record_is_told(store: MemoryStore, lines: Printed) -> None:
    def listed() -> list[str]:
        return lines(*overview_listings(store_overview(store, RULE, store.time_ms(), OURS)))

    assert not any("online experiments" in line for line in listed())
    record = ExperimentsRecord(experiment="homefeed", revision=NOW, by="ada", running=(plan(NOW),))
    store.publish_experiments(record.signed_by(PEOPLE), parent_revision=None)
    at = listed().index("online experiments")
    assert listed()[at + 2].split() == ["x1", "20.0%", "2023-11-14", "22:13:20Z", "2023-11-15", "22:13:20Z"]
    MemoryHands(store).put("experiments", record.signed_by(LEARNER))
    assert any("not valid" in line for line in listed())
    assert any("may not sign" in line for line in listed())
