"""The record of the online experiments that run."""

from __future__ import annotations

from typing import Any

import pytest

from policy_store.records.experiment_record import EXPERIMENTS_SLOT, ExperimentsRecord, canary_shares
from policy_store.records.store_errors import RecordMalformed

CONTROL = {"name": "control", "share": 0.5}
BOLD = {"name": "bold", "share": 0.5, "version": "v1", "preference": {"alpha": 0.3}}
PLAN: dict[str, Any] = {
    "id": "x1",
    "share": 0.1,
    "arms": [CONTROL, BOLD],
    "control": "control",
    "start": 1_000,
    "planned_end": 2_000,
}


def record(*running: dict[str, Any]) -> ExperimentsRecord:
    content = {"experiment": "homefeed", "revision": 7, "by": "ada", "running": list(running)}
    return ExperimentsRecord.from_content(content)


def test_the_record_has_the_documented_content_and_slot() -> None:
    made = record(PLAN)
    assert made.slot == EXPERIMENTS_SLOT == "experiments"
    assert made.canonical() == (
        b'{"by":"ada","experiment":"homefeed","kind":"experiments","parent_revision":null,"reason":"","revision":7,'
        b'"running":[{"arms":[{"name":"control","preference":null,"share":0.5,"version":null},'
        b'{"name":"bold","preference":{"alpha":0.3},"share":0.5,"version":"v1"}],"control":"control","guardrails":[],'
        b'"id":"x1","log_rate":1.0,"planned_end":2000,"share":0.1,"start":1000}]}'
    )
    assert ExperimentsRecord.parse(made.canonical()) == made
    assert made.running[0].versions == ("v1",)
    assert record().running == ()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"arms": [CONTROL]}, "arms"),
        ({"arms": [CONTROL, BOLD | {"name": "control"}]}, "2 arms have the name 'control'"),
        ({"arms": [CONTROL, BOLD | {"share": 0.4}]}, "sum to 0.9"),
        ({"arms": [CONTROL, BOLD | {"share": 0.0}]}, "share"),
        ({"arms": [CONTROL, BOLD | {"name": "a/b"}]}, "name"),
        ({"arms": [CONTROL, BOLD | {"preference": {"alpha": 1.5}}]}, "alpha"),
        ({"control": "nobody"}, "nobody"),
        ({"planned_end": 1_000}, "planned_end"),
        ({"share": 1.1}, "share"),
        ({"share": float("nan")}, "not JSON compliant"),
        ({"log_rate": 0.0}, "log_rate"),
        ({"id": "a/b"}, "id"),
        ({"more": 1}, "more"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, Any], named: str) -> None:
    with pytest.raises(RecordMalformed, match=named):
        record(PLAN | change)


def test_an_id_runs_once() -> None:
    with pytest.raises(RecordMalformed, match="unique"):
        record(PLAN, PLAN)


@pytest.mark.parametrize(
    ("canary_share", "share", "of_canary"), [(0.05, 0.1, 0.5), (0.5, 1.0, 0.5), (0.8, 1.0, 0.8), (1.0, 1.0, 1.0)]
)
def test_a_canary_has_its_share_of_all_users_and_a_control_as_large_if_it_can(
    canary_share: float, share: float, of_canary: float
) -> None:
    assert canary_shares(canary_share) == pytest.approx((share, of_canary))
