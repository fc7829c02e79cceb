"""Preferences: α or a simplex, for everybody and per cohort."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_store.records.preference_record import (
    PreferenceRecord,
    PreferenceTarget,
    changed_targets,
    parse_weights,
    require_known_cohort,
)
from policy_store.records.store_errors import ContractMismatch, RecordMalformed

TWO = ("repin", "save")


@given(st.floats(0, 1))
def test_alpha_weighs_its_objective_and_the_other_gets_the_rest(alpha: float) -> None:
    weights = PreferenceTarget.of(alpha=alpha).objective_weights(TWO, "save")
    assert weights == {"repin": 1.0 - alpha, "save": alpha}


def test_weights_are_given_in_the_order_of_the_objectives() -> None:
    target = PreferenceTarget.of(weights={"c": 0.5, "a": 0.25, "b": 0.25})
    assert list(target.objective_weights(("a", "b", "c"), None).items()) == [("a", 0.25), ("b", 0.25), ("c", 0.5)]
    assert list(target.objective_weights(("b", "c", "a"), None).values()) == [0.25, 0.5, 0.25]


@pytest.mark.parametrize(
    ("alpha", "weights", "said"),
    [
        (None, None, "either"),
        (0.5, {"a": 1.0}, "either"),
        (-0.01, None, "alpha"),
        (1.01, None, "alpha"),
        (math.nan, None, "alpha"),
        (None, {}, "sum to 1"),
        (None, {"a": 0.5, "b": 0.6}, "sum to 1"),
        (None, {"a": -0.5, "b": 1.5}, "weights"),
    ],
)
def test_a_target_outside_its_bounds_is_refused(
    alpha: float | None, weights: dict[str, float] | None, said: str
) -> None:
    with pytest.raises(RecordMalformed, match=said):
        PreferenceTarget.of(alpha=alpha, weights=weights)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=8).filter(lambda weights: abs(math.fsum(weights) - 1) > 1e-6))
def test_weights_with_another_sum_are_told_with_weights_that_are_accepted(weights: list[float]) -> None:
    wrong = {f"o{number}": weight for number, weight in enumerate(weights)}
    with pytest.raises(RecordMalformed, match="must sum to 1, but o0 = ") as refused:
        PreferenceTarget.of(weights=wrong)
    options = refused.value.fix.removeprefix("give ").replace("--weight ", "").split()
    assert set(PreferenceTarget.of(weights=parse_weights(options)).weights or {}) == set(wrong)


def test_weights_are_told_in_words() -> None:
    with pytest.raises(RecordMalformed) as refused:
        PreferenceTarget.of(weights={"repin": 1, "p2p": 0.5, "hide": 0.5})
    assert refused.value.what == "the weights must sum to 1, but repin = 1, p2p = 0.5, hide = 0.5 sum to 2"
    assert refused.value.fix == "give --weight repin=0.5 --weight p2p=0.25 --weight hide=0.25"
    with pytest.raises(ContractMismatch, match="the experiment has 3: a, b, c") as unfit:
        PreferenceTarget.of(alpha=0.1).objective_weights(("a", "b", "c"), "a")
    assert "`trimtab alpha propose --weight a=0.334 --weight b=0.333 --weight c=0.333`" in unfit.value.fix


@pytest.mark.parametrize(
    ("target", "objectives", "alpha_objective"),
    [
        (PreferenceTarget.of(alpha=0.5), ("click",), None),
        (PreferenceTarget.of(alpha=0.5), ("a", "b", "c"), "a"),
        (PreferenceTarget.of(alpha=0.5), TWO, None),
        (PreferenceTarget.of(alpha=0.5), TWO, "hide"),
        (PreferenceTarget.of(weights={"repin": 1.0}), TWO, None),
        (PreferenceTarget.of(weights={"repin": 0.5, "hide": 0.5}), TWO, None),
    ],
)
def test_a_target_that_does_not_fit_the_objectives_is_refused(
    target: PreferenceTarget, objectives: tuple[str, ...], alpha_objective: str | None
) -> None:
    with pytest.raises(ContractMismatch):
        target.objective_weights(objectives, alpha_objective)


def test_the_record_is_as_documented_and_survives() -> None:
    record = PreferenceRecord(
        experiment="homefeed",
        revision=7,
        parent_revision=6,
        by="ada",
        default=PreferenceTarget.of(alpha=0.1),
        cohorts={"CORE": PreferenceTarget.of(weights={"repin": 0.25, "save": 0.75})},
    )
    assert record.slot == "preference"
    assert PreferenceRecord.parse(record.canonical()) == record
    assert record.canonical() == (
        b'{"by":"ada","cohorts":{"CORE":{"weights":{"repin":0.25,"save":0.75}}},"default":{"alpha":0.1},'
        b'"experiment":"homefeed","kind":"preference","parent_revision":6,"reason":"","revision":7}'
    )


def test_a_change_touches_one_target_only() -> None:
    old, core, new = (PreferenceTarget.of(alpha=alpha) for alpha in (0.1, 0.4, 0.9))
    assert changed_targets(old, {"CORE": core}, None, new) == (new, {"CORE": core})
    assert changed_targets(old, {"CORE": core}, "NEW", new) == (old, {"CORE": core, "NEW": new})
    assert changed_targets(old, {"CORE": core}, "CORE", new) == (old, {"CORE": new})


def test_cohorts_must_be_declared() -> None:
    require_known_cohort(None, [])
    require_known_cohort("CORE", ["CORE"])
    with pytest.raises(ContractMismatch, match="'core'"):
        require_known_cohort("core", ["CORE"])


def test_weights_are_read_from_texts() -> None:
    assert parse_weights(["repin=0.3", "save=0.7"]) == {"repin": 0.3, "save": 0.7}
    for wrong in (["repin"], ["repin=much"], ["=1"], ["repin=nan"], ["repin=0.5", "repin=0.5"]):
        with pytest.raises(RecordMalformed, match="NAME=VALUE"):
            parse_weights(wrong)


def test_targets_describe_themselves() -> None:
    assert PreferenceTarget.of(alpha=0.3).describe() == "α = 0.3"
    assert PreferenceTarget.of(weights={"a": 0.25, "b": 0.75}).describe() == "weights a = 0.25, b = 0.75"
