"""The next action, case by case in the order of urgency."""

from __future__ import annotations

import inspect
import re
from dataclasses import replace
from typing import Any

import pytest
import typer

from event_schemas.errors import ComponentUnreachable, SettingError
from policy_store.decisions import EMPTY, FileDifference, Refusal
from policy_store.decisions.kill_decisions import OpenKill
from serving_agent.pickup.checkpoint_pickup import PickupResult
from tests.trimtab.status.status_samples import (
    EXPIRED,
    FORGED,
    KILL,
    LOG,
    NEW,
    NEWER,
    NODE,
    OLD,
    OPEN_KILL,
    PASSED,
    STABLE,
    STORE,
    WELL,
)
from trimtab.cli import build_app
from trimtab.status import next_action as module
from trimtab.status.next_action import AFTER_REFUSAL, CASES, NOTHING, NextAction, next_actions
from trimtab.status.status_facts import ChannelFacts, StatusFacts


def log(**changes: Any) -> StatusFacts:
    return replace(WELL, log=replace(LOG, **changes))


def store(**changes: Any) -> StatusFacts:
    return replace(WELL, store=replace(STORE, **changes))


def refused(result: str) -> StatusFacts:
    return store(nodes=(NODE, replace(NODE, node_id="r8", refusals=(Refusal("canary", result, ("PSI 0.9",)),))))


def faulty(fix: str) -> StatusFacts:
    return replace(WELL, faults={"Kafka": ComponentUnreachable("Kafka does not answer", fix=fix)})


NO_CHANNELS = tuple(ChannelFacts(each.channel, EMPTY) for each in STORE.channels)
DOUBTFUL = replace(PASSED, verdict="inconclusive", reasons=("fewer than 1000 matched rows",))
UNWEIGHED = replace(DOUBTFUL, reason_codes=("no_preference",))
KEPT = replace(PASSED, version="20240601T120000000Z-00000000", older=frozenset({OLD, NEW}), published=False)
KEPT_DOUBTFUL = replace(KEPT, verdict="inconclusive")
NOTHING_LEARNED = store(newest=None, channels=NO_CHANNELS, stable_before=frozenset())
NOTHING_PROMOTED = store(channels=NO_CHANNELS, stable_before=frozenset())
LEARNER_FILE, NODE_FILE = FileDifference("learner", OLD, ("gate",)), FileDifference("node", "r8", ("gate",))
TABLE = [
    ("fault", "trimtab topics create", "Kafka: make them", faulty("make them: `trimtab topics create`")),
    ("fault", None, "start the broker", faulty("start the broker")),
    (
        "killed",
        'trimtab policy resume --reason "…"',
        "killed by ada",
        store(open_kills=(OPEN_KILL,)),
    ),
    ("kill_in_doubt", "trimtab policy verify", KILL.hash, store(open_kills=(OpenKill(KILL.hash, None, ("node n",)),))),
    ("kill_in_doubt", "trimtab policy verify", "bad signature", store(kill_faults=("control: bad signature",))),
    ("join", "trimtab join", "1,204 events wait, and no worker", log(lag={0: 4, 1: 1200}, workers=0)),
    ("channel", "trimtab policy promote", "expired", store(channels=(EXPIRED,))),
    ("channel", "trimtab policy verify", "bad signature; sign it again", store(channels=(STABLE, FORGED))),
    (
        "files_differ",
        None,
        "node r8 has another [gate]",
        store(differences=(LEARNER_FILE, NODE_FILE), proposals=("p",)),
    ),
    ("proposal", "trimtab alpha approve p", "waits", store(differences=(LEARNER_FILE,), proposals=("p",))),
    ("serve", "trimtab serve", "no node is alive", store(differences=(LEARNER_FILE,), nodes=())),
    ("learner_file_differs", None, "is listed until its next run", store(differences=(LEARNER_FILE,))),
    ("refused", "trimtab learn", "node r8 refused what canary points to: q_drift: PSI 0.9", refused("q_drift")),
    ("refused", None, "see the node's log", refused("something newer")),
    ("node", None, "kill file", store(nodes=(replace(NODE, killed=True),))),
    ("node", None, "delivery: no broker", store(nodes=(replace(NODE, troubles=("delivery: no broker",)),))),
    ("node", None, "withholds its policies: drift", store(nodes=(replace(NODE, withheld="drift"),))),
    ("no_events", "trimtab serve", "the log is empty", log(events=0, examples=0, dead_letters=0)),
    ("join", "trimtab join", "if it is not running", log(lag={0: 9}, workers=None, examples=0)),
    ("joining", None, "9 events to go", log(lag={0: 9}, examples=0)),
    ("dead_letters", "trimtab dead-letters list", "3 dead letters say why", log(examples=0)),
    ("window", None, "when their windows close", log(examples=0, dead_letters=0)),
    ("learn", "trimtab learn", "300 examples", store(newest=None, channels=NO_CHANNELS)),
    ("preference", "trimtab alpha propose --help", "no preference between", store(newest=UNWEIGHED, preference=None)),
    ("promote", f"trimtab policy promote {NEW} --to stable", f"stable serves {OLD}", store(newest=NEWER)),
    ("promote", f"trimtab policy promote {NEW} --to stable", "stable serves", store(newest=DOUBTFUL, in_shadow=NEWER)),
    ("promote", f"trimtab policy promote {OLD} --to stable", "serves nothing yet", NOTHING_PROMOTED),
    (
        "promote",
        f"trimtab policy promote {NEW} --to stable",
        "passed",
        replace(store(newest=NEWER), shelf=KEPT_DOUBTFUL),
    ),
    ("canary", f"trimtab experiment read canary-{NEW}", "is the canary", store(newest=NEWER, canary=NEW)),
    ("canary", "trimtab experiment read canary-v0", "is the canary", store(newest=NEWER, canary="v0")),
    (
        "promote",
        f"trimtab policy promote {NEW} --to stable",
        "passed",
        store(newest=PASSED, in_shadow=NEWER, stable_before=frozenset(), withdrawn_before=frozenset({OLD})),
    ),
    ("publish", "trimtab learn", "is not published", replace(WELL, shelf=KEPT)),
    ("publish", "trimtab learn", "is not published", replace(NOTHING_LEARNED, shelf=KEPT)),
    ("proposal", "trimtab alpha approve p-1", "approval", store(proposals=("p-1", "p-2"))),
    ("serve", "trimtab serve", f"stable points to {OLD}, and no node", store(nodes=())),
    ("evidence", None, "inconclusive (fewer than 1000", store(newest=DOUBTFUL, channels=NO_CHANNELS)),
    ("join", "trimtab join", "9 events wait; start the join if", log(lag={0: 9}, workers=None)),
    ("well", None, "all is well", WELL),
]


def next_action(facts: StatusFacts) -> NextAction:
    """The first of them."""
    return next_actions(facts)[0]


@pytest.mark.parametrize(("case", "command", "why", "facts"), TABLE, ids=[f"{row[0]}-{row[2][:20]}" for row in TABLE])
def test_each_case(case: str, command: str | None, why: str, facts: StatusFacts) -> None:
    action = next_action(facts)
    assert (action.case, action.command) == (case, command)
    assert why in action.why


@pytest.mark.parametrize(
    "facts",
    [
        log(lag={0: 9}),
        log(workers=0),
        store(newest=NEWER, stable_before=frozenset({OLD, NEW})),
        store(newest=NEWER, withdrawn_before=frozenset({NEW})),
        store(newest=replace(NEWER, verdict="refuse")),
        replace(WELL, log=None),
    ],
    ids=["working", "no worker needed", "rolled back", "withdrawn", "refused but served", "no log"],
)
def test_what_needs_nobody(facts: StatusFacts) -> None:
    assert next_action(facts) == NOTHING


def test_the_more_urgent_case_goes_first() -> None:
    """Of all that hold for these facts, the first in the order of `CASES` is what to do."""
    bad = replace(
        STORE,
        channels=(EXPIRED,),
        open_kills=(OPEN_KILL,),
        nodes=(replace(NODE, refusals=(Refusal("canary", "contract"),), troubles=("disk: full",)),),
        newest=NEWER,
        proposals=("p-1",),
        differences=(LEARNER_FILE, NODE_FILE),
    )
    waiting = replace(LOG, lag={0: 9}, workers=0, examples=0)
    facts = StatusFacts("homefeed", 0, waiting, bad, faults={"kills": SettingError("a", fix="b")})
    holding = [action.case for case in CASES if (action := case(facts)) is not None]
    first = ["fault", "killed", "join", "files_differ", "channel", "refused", "join", "promote", "proposal"]
    assert holding == [*first, "learner_file_differs"]
    assert next_action(facts).case == "fault"
    assert len(next_actions(facts)) == 1
    assert next_action(replace(facts, faults={})).case == "killed"


def test_all_that_a_running_canary_would_hide_is_told() -> None:
    several = {"newest": NEWER, "proposals": ("p-1",), "nodes": (), "differences": (LEARNER_FILE,)}
    with_canary, without = (
        [action.case for action in next_actions(store(canary=each, **several))] for each in (NEW, None)
    )
    assert with_canary == ["canary", "proposal", "serve", "learner_file_differs"]
    assert without == ["promote"]
    assert [action.case for action in next_actions(store(newest=NEWER, canary=NEW))] == ["canary"]


def test_the_order_is_the_documented_one() -> None:
    documented = re.findall(r"^(\d+)\. ", module.__doc__ or "", flags=re.MULTILINE)
    assert [int(number) for number in documented] == list(range(1, len(CASES) + 1))


def test_every_refusal_has_advice() -> None:
    assert set(AFTER_REFUSAL) == {result.value for result in PickupResult} - {"accepted"}


def test_every_command_exists() -> None:
    app: Any = typer.main.get_command(build_app())
    for command in set(re.findall(r'"(trimtab [^"{]*)', inspect.getsource(module))):
        found = app
        for word in command.split()[1:]:
            if not hasattr(found, "commands"):
                break
            found = found.commands[word]
        assert not hasattr(found, "commands"), command
