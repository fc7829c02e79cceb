"""Arms of an experiment from the command line."""

from __future__ import annotations

import pytest

from event_schemas.errors import SettingError
from policy_store.records.preference_record import PreferenceTarget
from policy_store.records.store_errors import RecordMalformed
from trimtab.experiment_arms import parse_arms


def test_arms_share_equally_and_the_control_is_as_stable() -> None:
    control, bold, new = parse_arms(["bold,alpha=0.3", "new, version=latest"], "control")
    assert (control.name, control.version, control.preference) == ("control", None, None)
    assert (bold.name, bold.preference, bold.version) == ("bold", PreferenceTarget.of(alpha=0.3), None)
    assert (new.name, new.version) == ("new", "latest")
    assert [arm.share for arm in (control, bold, new)] == pytest.approx([1 / 3] * 3)


def test_shares_that_are_left_out_get_what_is_left() -> None:
    arms = parse_arms(["control,share=0.5", "a", "b"], "control")
    assert [(arm.name, arm.share) for arm in arms] == [("control", 0.5), ("a", 0.25), ("b", 0.25)]


def test_weights_by_objective() -> None:
    arms = parse_arms(["a,weight.repin=0.25,weight.save=0.75"], "control")
    assert arms[1].preference == PreferenceTarget.of(weights={"repin": 0.25, "save": 0.75})


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (["a,alpha"], "'alpha' is not understood"),
        (["a,alpha="], "is not understood"),
        (["a,alpha=0.1,alpha=0.2"], "there twice"),
        (["a,beta=1"], "keys are version, alpha, share, weight.OBJECTIVE"),
        (["a,weight.=1"], "is not understood"),
        (["a,alpha=much"], "'much' is not a number"),
        (["a,share=much"], "'much' is not a number"),
        (["a,share=1", "b"], "leave nothing"),
        (["a/b"], "a/b"),
        ([""], "--arm is not understood"),
        (["a,share=-1"], "share"),
    ],
)
def test_what_is_no_arm_is_named(texts: list[str], says: str) -> None:
    with pytest.raises(SettingError) as refused:
        parse_arms(texts, "control")
    assert says in str(refused.value)


def test_a_preference_must_be_one() -> None:
    with pytest.raises(RecordMalformed, match="alpha"):
        parse_arms(["a,alpha=1.5"], "control")
    with pytest.raises(RecordMalformed, match="sum to"):
        parse_arms(["a,weight.repin=0.5"], "control")
