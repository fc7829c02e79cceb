"""Faults are read from text, and wrong ones are named."""

import pytest

from event_schemas.errors import SettingError
from simulator.worlds.faults import Faults


def test_settings_change_the_fields_they_name() -> None:
    found = Faults.parse(["missing=0.2", "dead_kind=p2p", "dead_until=1.5"])
    assert found == Faults(missing=0.2, dead_kind="p2p", dead_until=1.5)
    assert Faults.parse([]) == Faults() and not Faults().drifts and Faults(drift_taste=0.5).drifts


def test_one_head_drifts_or_all_do() -> None:
    assert Faults(drift_heads=2.0).head_factors == (1.0, 2.0, 1.0, 1.0, 1.0)
    assert Faults(drift_head="hide", drift_heads=2.0).head_factors == (1.0, 1.0, 1.0, 1.0, 2.0)
    assert Faults(drift_head="all", drift_heads=2.0).head_factors == (2.0,) * 5


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("lost=1", "names no fault"),
        ("missing", "has no number"),
        ("missing=many", "has no number"),
        ("missing=nan", "has no number"),
        ("missing=1.5", "is not a share"),
        ("duplicates=-0.1", "is not a share"),
        ("delay=0", "is no factor"),
        ("drift_heads=1000", "is no factor"),
        ("dead_kind=like", "no kind of engagement"),
        ("drift_head=like", "no head of the ranker"),
    ],
)
def test_a_wrong_setting_is_refused(setting: str, said: str) -> None:
    with pytest.raises(SettingError, match=said) as refused:
        Faults.parse([setting])
    assert refused.value.fix
