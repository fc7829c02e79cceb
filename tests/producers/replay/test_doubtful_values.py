"""Undeclared cohorts and placeholder users of a log are counted and told of once, at its end."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from event_schemas.records import RequestRecord
from producers.replay.doubtful_values import NAMES_SHOWN, DoubtfulValues


def request(user_id: str | None = "u1", cohort: str | None = None) -> RequestRecord:
    return {
        "request_id": "r1",
        "event_time": 1,
        "user_id": user_id,
        "session_id": None,
        "cohort": cohort,
        "user_embedding": [],
        "context": [],
        "history": [],
        "previous": [],
    }


@pytest.mark.parametrize(
    ("cohorts", "names", "fix"),
    [
        (["core ", "VIP", "core "], "'core ', 'VIP'", "write 'CORE' for 'core '"),
        (["VIP"], "'VIP'", "declare them under [[cohorts]]"),
        (
            [str(n) for n in range(9)],
            ", ".join(repr(str(n)) for n in range(NAMES_SHOWN)),
            "declare them under [[cohorts]]",
        ),
    ],
)
def test_undeclared_cohorts(cohorts: list[str], names: str, fix: str) -> None:
    doubtful = DoubtfulValues(["CORE"])
    for cohort in (*cohorts, "CORE", None):
        doubtful.note(request(cohort=cohort))
    with capture_logs() as lines:
        doubtful.tell()
    assert doubtful.undeclared_cohorts == len(cohorts)
    assert [(line["rows"], line["names"], line["fix"]) for line in lines] == [(len(cohorts), names, fix)]


def test_placeholder_users() -> None:
    doubtful = DoubtfulValues([])
    for user in ("None", "null", "u1", None, "0"):
        doubtful.note(request(user, cohort="any"))
    with capture_logs() as lines:
        doubtful.tell()
    assert (doubtful.placeholder_users, doubtful.undeclared_cohorts) == (3, 0)
    assert [(line["event"], line["rows"]) for line in lines] == [("user ids are placeholders", 3)]


def test_nothing_is_told_of_a_sound_log() -> None:
    doubtful = DoubtfulValues(["CORE"])
    doubtful.note(request(cohort="CORE"))
    with capture_logs() as lines:
        doubtful.tell()
    assert lines == []
