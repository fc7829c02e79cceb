"""One screen: 24 lines of 80 columns whatever the facts, and every id whole."""

from __future__ import annotations

from dataclasses import replace

import pytest

from event_schemas.errors import ComponentUnreachable
from policy_store.decisions import FileDifference, Refusal
from tests.trimtab.status.status_samples import EXPIRED, FORGED, LOG, NEW, NEWER, NODE, OLD, OPEN_KILL, STORE, WELL
from trimtab.status.next_action import next_actions
from trimtab.status.status_facts import LEASE, StatusFacts, StoreFacts
from trimtab.status.status_screen import HEIGHT, WIDTH, screen_lines

LONG = "repin: PSI 0.91 between the reference and 2,000 live requests, more than 0.25; " * 4
ILL = tuple(
    replace(NODE, node_id=f"ranker-{number}.eu-west-1.example.com", refusals=(Refusal("canary", "q_drift", (LONG,)),))
    for number in range(30)
)
GONE = ComponentUnreachable(f"Kafka at broker-1:9092 does not answer: {LONG}", fix=f"start the broker: {LONG}")
WORST = StoreFacts(
    channels=(EXPIRED, FORGED, replace(FORGED, channel="shadow", version=NEW)),
    open_kills=(OPEN_KILL,) * 3,
    kill_faults=(LONG,),
    nodes=ILL,
    newest=replace(NEWER, reasons=(LONG,)),
    preference=LONG,
    differences=(FileDifference("node", ILL[0].node_id, ("weights", "objectives", "learner", "gate", "serving")),) * 3,
)


def shown(facts: StatusFacts) -> list[str]:
    return screen_lines(facts, next_actions(facts))


def test_an_experiment_that_is_well() -> None:
    assert shown(WELL) == [
        "experiment  homefeed   2024-05-01 12:00:00Z",
        "join        all 900 events done; 2 workers",
        "log         300 examples, 3 dead letters",
        f"learned     {OLD}  pass",
        "            every lift lies above -1.0%",
        f"stable      {OLD}  valid, by ada",
        "canary      empty",
        "shadow      empty",
        "learner     none has the lease",
        "preference  α = 0.1 (experiment file)",
        "kills       none",
        "nodes       1 alive",
        f"            ranker-7  {OLD}  well",
        "next        nothing to do: all is well",
    ]


def test_a_canary_hides_nothing() -> None:
    waiting = replace(STORE, newest=NEWER, canary=NEW, nodes=(), proposals=("p-1",))
    lines = shown(replace(WELL, store=waiting, log=replace(LOG, lag={0: 9}, workers=None)))
    assert lines[-5:] == [
        f"next        trimtab experiment read canary-{NEW}",
        "            it is the canary: see whether it is better online",
        "also        trimtab alpha approve p-1 (it waits for approval; or reject it)",
        f"            trimtab serve (stable points to {OLD}, and n…",
        "            trimtab join (9 events wait; start the join if it is not running)",
    ]
    assert len(lines) <= HEIGHT and all(len(line) <= WIDTH for line in lines)


@pytest.mark.parametrize(
    "facts",
    [
        WELL,
        replace(WELL, store=WORST),
        replace(WELL, store=WORST, log=replace(LOG, lag={0: 10**9}, workers=0, events=10**9)),
        replace(WELL, store=replace(WORST, nodes=ILL[:2], open_kills=())),
        replace(WELL, store=WORST, faults={"history of stable": GONE, "nodes": GONE, "log": GONE, "preference": GONE}),
        StatusFacts("homefeed", 0, faults={"policy store": GONE, "log": GONE, "checkpoints here": GONE}),
        replace(WELL, store=replace(STORE, newest=NEWER)),
        StatusFacts("homefeed", 0, replace(LOG, examples=0), StoreFacts()),
    ],
)
def test_it_fits_one_screen(facts: StatusFacts) -> None:
    lines = shown(facts)
    assert len(lines) <= HEIGHT
    assert max(map(len, lines)) <= WIDTH
    assert lines[-1].startswith(("next", " " * 12))


def test_the_ids_are_whole_and_nodes_in_trouble_come_first() -> None:
    well = tuple(replace(NODE, node_id=f"a{number}") for number in range(30))
    facts = replace(WELL, store=replace(STORE, nodes=(*well, ILL[0]), open_kills=(OPEN_KILL,), newest=NEWER))
    lines = shown(facts)
    nodes = next(number for number, line in enumerate(lines) if line.startswith("nodes"))
    assert lines[nodes] == "nodes       31 alive, 1 of them not well"
    assert lines[nodes + 1].split() == [ILL[0].node_id, OLD]
    assert lines[nodes + 2].startswith("              refused what canary points to: q_drift: repin: PSI")
    assert lines[-3].startswith("            and 2") and lines[-3].endswith("more: trimtab policy status")
    assert f"kills       {OPEN_KILL.hash}" in lines


def test_who_has_another_file_and_who_refuses_is_shown() -> None:
    stable = replace(STORE.channels[0], refused_by=("ranker-7",))
    differences = (FileDifference("node", "ranker-7", ("gate",)), FileDifference("learner", OLD, ("gate",)))
    lines = shown(replace(WELL, store=replace(STORE, channels=(stable,), differences=differences)))
    assert lines[1] == "file        node ranker-7 has another [gate] in its experiment file and 1 more"
    assert f"stable      {OLD}  valid, refused by 1 of 1 nodes" in lines
    assert lines[-2].startswith("next        node ranker-7 has another [gate] in its experiment file: give every")


def test_the_command_to_run_stands_alone() -> None:
    lines = shown(replace(WELL, store=replace(STORE, newest=NEWER)))
    assert lines[-2:] == [
        f"next        trimtab policy promote {NEW} --to stable",
        f"            it passed the gate, and stable serves {OLD}",
    ]


def test_what_the_screen_has_no_room_for_is_counted() -> None:
    doubts = replace(STORE, kill_faults=("first doubt", "second doubt"), nodes=(replace(ILL[0], troubles=("x", "y")),))
    facts = replace(WELL, store=doubts, faults={f"question {number}": GONE for number in range(5)})
    lines = shown(facts)
    assert [line[:32] for line in lines if line.startswith("fault")] == [
        f"fault       {number} of 5: question {number - 1}: "[:32] for number in (1, 2, 3)
    ]
    assert "kills       in doubt: 1 of 2: first doubt" in lines
    assert any(line.startswith(f"              1 of {len(doubts.nodes[0].notes())}: ") for line in lines)


@pytest.mark.parametrize("question", ["nodes", "kills", "preference", "channels", "newest checkpoint", LEASE])
def test_what_cannot_be_read_is_unknown_and_not_absent(question: str) -> None:
    empty = StatusFacts("homefeed", 0, LOG, StoreFacts())
    label = {"newest checkpoint": "learned", LEASE: "learner"}.get(question, question)
    assert not any("unknown" in line for line in shown(empty))
    lines = shown(replace(empty, faults={question: GONE}))
    assert [line.split()[0] for line in lines if line.endswith(" unknown")] == [label]


def test_what_does_not_answer_is_named_and_the_rest_is_shown() -> None:
    facts = StatusFacts("homefeed", 0, LOG, None, replace(NEWER, published=False), {"policy store": GONE})
    lines = shown(facts)
    assert lines[1].startswith("fault       policy store: Kafka at broker-1:9092 does not answer")
    assert "log         300 examples, 3 dead letters" in lines
    assert f"learned     {NEW}  pass, on this machine only" in lines
    assert not any(line.startswith(("kills", "stable", "nodes")) for line in lines)
