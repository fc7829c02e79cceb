"""Exploration settings under their digest, and draws that anybody can repeat with them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter

import numpy as np
import pytest
from scipy.stats import chisquare, kstest

from event_schemas.action_space import ActionSpace, Axis, Bounds, box_action_space, grid_action_space
from event_schemas.box_draws import normal_box
from event_schemas.errors import MalformedRecord
from event_schemas.exploration import FIELDS, ExplorationDraws, ExplorationSettings, Kind, draw_of
from event_schemas.exploration_units import LogUnit, Unit, session_request_id
from event_schemas.slices import ArmDraw, Slice, coin
from tests.conformance.present_draws import answer_policy_arm, answer_settings
from tests.conformance.vector_files import Case, cases

BOX = box_action_space([Bounds("repin", 91.6, 10, 200), Bounds("p2p", 9.1, 1, 30)])
GRID = grid_action_space([Axis("repin", 91.6, 10, 200, 3), Axis("p2p", 9.1, 1, 30, 3)])
IDS = [f"request-{number}" for number in range(4000)]
TEXT = (
    f'{{"action_space":"{BOX.digest}","control_rate":0.05,"exploration_rate":0.25,"kind":"normal","log_rate":0.1,'
    '"production_share":0.125,"salt":"pepper","sd":[30.0,3.0],"unit":"session"}'
)
DIGEST = "543930b3fed0a6ee05194234765baa7cbbab6f8cd34710d6fa0c511580cacde1"


def settings(space: ActionSpace, kind: Kind = "uniform", unit: Unit = "request") -> ExplorationSettings:
    sd = (30.0, 3.0) if kind == "normal" else ()
    return ExplorationSettings(space.digest, kind, unit, "pepper", 0.25, 0.05, 0.1, 0.125, sd)


NORMAL = settings(BOX, "normal", "session")


@pytest.mark.parametrize("case", cases("exploration_settings"), ids=str)
def test_texts_and_digests_are_those_of_the_contract(case: Case) -> None:
    assert answer_settings(case.given) == case.expected, case.why


@pytest.mark.parametrize("case", cases("policy_arms"), ids=str)
def test_a_policy_draws_the_arms_of_the_contract(case: Case) -> None:
    assert answer_policy_arm(case.given) == case.expected, case.why


def test_settings_are_canonical_text_under_its_hash() -> None:
    assert NORMAL.text == TEXT
    assert NORMAL.digest == DIGEST == hashlib.sha256(TEXT.encode()).hexdigest()
    assert ExplorationSettings.parse(DIGEST, TEXT) == NORMAL


def test_every_field_counts() -> None:
    fields = {field.name: getattr(NORMAL, field.name) for field in dataclasses.fields(NORMAL)}
    assert tuple(fields) == FIELDS
    others = {"kind": "uniform", "unit": "request", "sd": (30.0, 3.1), "log_unit": "user"}
    for name, value in fields.items():
        other = others.get(name, value / 2 if isinstance(value, float) else f"{value}x")
        changed = {**fields, name: other} | ({"sd": ()} if name == "kind" else {})
        assert ExplorationSettings(**changed).digest != DIGEST, name


@pytest.mark.parametrize("log_unit", ["request", "user"])
def test_a_log_unit_is_written_only_where_it_is_another(log_unit: LogUnit) -> None:
    other = dataclasses.replace(NORMAL, log_unit=log_unit)
    assert other.text == TEXT.replace('"production_share"', f'"log_unit":"{log_unit}","production_share"')
    assert ExplorationSettings.parse(other.digest, other.text) == other
    assert (other.sampled_by, NORMAL.sampled_by) == (log_unit, "session")
    with pytest.raises(ValueError, match="log_unit is left out where it is the unit, 'session'"):
        dataclasses.replace(NORMAL, log_unit="session")
    for spelt in ('"session"', "null"):  # the same draws under another digest
        text = TEXT.replace('"production_share"', f'"log_unit":{spelt},"production_share"')
        with pytest.raises(MalformedRecord):
            ExplorationSettings.parse(hashlib.sha256(text.encode()).hexdigest(), text)


def test_ids_name_the_session_if_any_coin_is_drawn_for_sessions() -> None:
    single = settings(BOX)
    assert [single.id_unit, NORMAL.id_unit] == ["request", "session"]
    assert dataclasses.replace(single, log_unit="session").id_unit == "session"
    assert dataclasses.replace(single, log_unit="user").id_unit == "request"
    assert dataclasses.replace(NORMAL, log_unit="user").id_unit == "session"


def test_a_raised_log_rate_changes_nothing_else_and_is_never_lower() -> None:
    raised = NORMAL.with_log_rate(0.5)
    assert raised == dataclasses.replace(NORMAL, log_rate=0.5)
    assert raised.digest != NORMAL.digest
    assert NORMAL.with_log_rate(0.05) == NORMAL.with_log_rate(0.1) == NORMAL
    once, more = ExplorationDraws(BOX, NORMAL), ExplorationDraws(BOX, raised)
    assert [once.slice(each) for each in IDS[:200]] == [more.slice(each) for each in IDS[:200]]
    kept = [[d.sampling(each, Slice.POLICY).logged for each in IDS] for d in (once, more)]
    assert all(later for first, later in zip(*kept, strict=True) if first)
    assert sum(kept[1]) > 3 * sum(kept[0])


@pytest.mark.parametrize("unit", ["request", "session"])
def test_a_user_is_logged_whole_or_not_at_all(unit: Unit) -> None:
    draws = ExplorationDraws(BOX, dataclasses.replace(settings(BOX, unit=unit), log_unit="user"))
    for user in range(50):
        ids = [session_request_id(f"s{user}-{number % 3}", f"{number}") for number in range(9)]
        found = {draws.sampling(each, Slice.POLICY, f"u{user}") for each in ids}
        assert [each.logged for each in found] == [coin("pepper", "log", f"u{user}") < 0.1]
        for nobody in (None, "null"):
            by_unit = [coin("pepper", "log", draws.unit(each)) < 0.1 for each in ids]
            assert [draws.sampling(each, Slice.FALLBACK, nobody).logged for each in ids] == by_unit


def test_a_session_is_logged_together_although_requests_explore_alone() -> None:
    draws = ExplorationDraws(BOX, dataclasses.replace(settings(BOX), log_unit="session"))
    slices, logged = Counter[int](), Counter[int]()
    for session in range(300):
        ids = [session_request_id(f"s{session}", f"{number}") for number in range(4)]
        slices[len({draws.slice(each) for each in ids})] += 1
        logged[len({draws.sampling(each, Slice.POLICY) for each in ids})] += 1
    assert set(logged) == {1} and slices[1] < 200


def test_whole_numbers_are_written_as_floats() -> None:
    whole = ExplorationSettings("d", "normal", "request", "gr\u00fc\u00df", 1, 0, 1, 0, (2,))
    assert json.loads(whole.text) == json.loads(whole.text, parse_int=pytest.fail)
    assert '"salt":"gr\u00fc\u00df","sd":[2.0]' in whole.text


BROKEN = {
    "another digest": TEXT.replace("0.25", "0.26"),
    "other spaces": TEXT.replace(",", ", "),
    "other order": json.dumps(dict(sorted(json.loads(TEXT).items(), reverse=True)), separators=(",", ":")),
    "an integer": TEXT.replace("30.0", "30"),
    "nan": TEXT.replace("0.25", "NaN"),
    "infinite": TEXT.replace("30.0", "1e999"),
    "rate above one": TEXT.replace("0.25", "1.5"),
    "rate of text": TEXT.replace("0.25", '"0.25"'),
    "rate of true": TEXT.replace("0.25", "true"),
    "sd of zero": TEXT.replace("30.0", "0.0"),
    "normal without sd": TEXT.replace("30.0,3.0", ""),
    "uniform with sd": TEXT.replace("normal", "uniform"),
    "unknown kind": TEXT.replace("normal", "cauchy"),
    "unknown unit": TEXT.replace('"session"', '"user"'),
    "unknown field": TEXT.replace("{", '{"colour":"red",'),
    "field missing": TEXT.replace('"salt":"pepper",', ""),
    "no object": "[]",
    "not JSON": TEXT[:-1],
    "nothing": "",
}


@pytest.mark.parametrize("fault", BROKEN)
def test_what_are_not_the_settings_is_refused(fault: str) -> None:
    for digest in (DIGEST, hashlib.sha256(BROKEN[fault].encode()).hexdigest()):
        if fault == "another digest" and digest != DIGEST:
            continue
        with pytest.raises(MalformedRecord, match=rf"exploration settings {digest[:12]}… ") as caught:
            ExplorationSettings.parse(digest, BROKEN[fault])
        assert caught.value.fix
        assert "pepper" not in str(caught.value)


def test_a_fault_names_its_field() -> None:
    for fault, named in {
        "rate above one": "exploration_rate: ",
        "unknown field": "colour: ",
        "sd of zero": "sd.0",
    }.items():
        with pytest.raises(MalformedRecord) as caught:
            ExplorationSettings.parse(DIGEST, BROKEN[fault])
        assert named in caught.value.what


@pytest.mark.parametrize(
    ("space", "given", "named"),
    [
        (GRID, settings(BOX), "they are for"),
        (GRID, dataclasses.replace(NORMAL, action_space=GRID.digest), "a grid of 2 weights"),
        (BOX, dataclasses.replace(NORMAL, sd=(30.0,)), "there are 1 sd"),
        (BOX, dataclasses.replace(NORMAL, sd=(30.0, 1e-9)), "the sd 1e-09 of 'p2p'"),
    ],
)
def test_settings_of_another_space_draw_nothing(space: ActionSpace, given: ExplorationSettings, named: str) -> None:
    with pytest.raises(MalformedRecord, match="do not fit the action space") as caught:
        ExplorationDraws(space, given)
    assert named in caught.value.what


@pytest.mark.parametrize("kind", ["uniform", "normal"])
def test_arms_come_as_often_as_they_say_and_vectors_follow_their_density(kind: Kind) -> None:
    draws = ExplorationDraws(BOX, settings(BOX, kind))
    explored = [draws.explore(request_id) for request_id in IDS]
    counts = Counter((each.arm, each.propensity) for each in explored)
    assert chisquare([counts[0, 0.875], counts[1, 0.125]], [0.875 * len(IDS), 0.125 * len(IDS)]).pvalue > 0.01
    vectors = [each for each in explored if each.arm == 0]
    assert draws.box is not None
    shares = np.array([draws.box.cdfs(each.weights) for each in vectors])
    assert min(kstest(column, "uniform").pvalue for column in shares.T) > 0.01
    assert all(each.log_density == draws.box.log_density(each.weights) for each in vectors)
    assert all((each.weights, each.log_density) == ((), None) for each in explored if each.arm == 1)


def test_arms_of_a_grid_come_as_often_as_they_say() -> None:
    draws = ExplorationDraws(GRID, settings(GRID))
    explored = [draws.explore(request_id) for request_id in IDS]
    counts = Counter(each.arm for each in explored)
    propensities = {each.arm: each.propensity for each in explored}
    assert sum(propensities.values()) == pytest.approx(1)
    assert (
        chisquare([counts[arm] for arm in range(10)], [propensities[arm] * len(IDS) for arm in range(10)]).pvalue > 0.01
    )
    assert all((each.weights, each.log_density) == ((), None) for each in explored)


def test_draws_depend_on_nothing_but_their_arguments() -> None:
    once, again = ExplorationDraws(BOX, NORMAL), ExplorationDraws(BOX, ExplorationSettings.parse(DIGEST, TEXT))
    backwards = [(again.slice(each), again.explore(each), again.sampling(each, Slice.POLICY)) for each in IDS[300::-1]]
    assert backwards[::-1] == [
        (once.slice(each), once.explore(each), once.sampling(each, Slice.POLICY)) for each in IDS[:301]
    ]


@pytest.mark.parametrize(
    ("eligible", "arms"), [([], {0: 0.875, 1: 0.125}), ([0, 1], {0: 0.875, 1: 0.125}), ([0], {0: 1.0}), ([1], {1: 1.0})]
)
def test_eligible_arms_of_a_box_are_the_vector_and_production(eligible: list[int], arms: dict[int, float]) -> None:
    draws = ExplorationDraws(BOX, NORMAL)
    explored = [draws.explore(request_id, eligible) for request_id in IDS[:200]]
    assert {each.arm: each.propensity for each in explored} == arms
    with pytest.raises(ValueError, match=r"0\.\.1"):
        draws.explore("r1", [0, 2])


def test_requests_of_a_session_explore_together_and_differ_in_their_arms() -> None:
    draws, single = ExplorationDraws(BOX, NORMAL), ExplorationDraws(BOX, settings(BOX, "normal"))
    slices, logged = Counter[int](), Counter[int]()
    for session in range(300):
        ids = [session_request_id(f"s{session}", f"{number}") for number in range(4)]
        slices[len({draws.slice(each) for each in ids})] += 1
        logged[len({draws.sampling(each, Slice.POLICY) for each in ids})] += 1
        vectors = {draws.explore(each).weights for each in ids} - {()}
        assert len(vectors) == sum(draws.explore(each).arm == 0 for each in ids)
        assert [draws.explore(each) for each in ids] == [single.explore(each) for each in ids]
        assert draws.slice(ids[0]).slice is single.slice(draws.unit(ids[0])).slice
    assert set(slices) == set(logged) == {1}


def test_the_rate_in_force_decides_who_explores() -> None:
    draws = ExplorationDraws(BOX, settings(BOX))
    at = {rate: {i for i in IDS if draws.slice(i, rate).slice is Slice.EXPLORE} for rate in (0.0, 0.1, 0.25)}
    assert at[0.0] == set() < at[0.1] < at[0.25] == {i for i in IDS if draws.slice(i).slice is Slice.EXPLORE}
    assert draws.slice("r1", 0.1).slice_probability in (0.1, 0.9 * 0.05, 0.9 * 0.95)


@pytest.mark.parametrize(("unit", "expected"), [("session", 0.1), ("request", 0.1 * 0.25)])
def test_a_pair_of_a_session_explores_at_the_lower_of_its_rates(unit: Unit, expected: float) -> None:
    draws = ExplorationDraws(BOX, settings(BOX, unit=unit))
    pairs = [
        (session_request_id(f"s{session}", "1"), session_request_id(f"s{session}", "2")) for session in range(4000)
    ]
    both = sum(
        draws.slice(first, 0.25).slice is draws.slice(second, 0.1).slice is Slice.EXPLORE for first, second in pairs
    )
    assert abs(both / len(pairs) - expected) < 4 * (expected / len(pairs)) ** 0.5


def test_a_policy_draws_by_coins_of_its_own() -> None:
    draws = ExplorationDraws(GRID, settings(GRID))
    chosen = Counter(draws.policy(request_id, [0.0, 0.2, 0.0, 0.8]) for request_id in IDS)
    assert set(chosen) == {ArmDraw(1, 0.2), ArmDraw(3, 0.8)}
    assert chisquare([chosen[ArmDraw(1, 0.2)], chosen[ArmDraw(3, 0.8)]], [0.2 * len(IDS), 0.8 * len(IDS)]).pvalue > 0.01
    coins = np.array([[coin("pepper", purpose, i) for purpose in ("policy", "arm", "policy:repin")] for i in IDS])
    assert np.max(np.abs(np.corrcoef(coins.T) - np.eye(3))) < 0.05


def test_a_policy_draws_a_vector_from_its_proposal() -> None:
    draws = ExplorationDraws(BOX, NORMAL)
    proposal = normal_box(BOX.weight_names, [150.0, 2.0], [10.0, 1.0], BOX.low.tolist(), BOX.high.tolist())
    found = [draws.policy_vector(request_id, proposal) for request_id in IDS[:2000]]
    assert {(each.arm, each.propensity) for each in found} == {(0, 1.0)}
    shares = np.array([proposal.cdfs(each.weights) for each in found])
    assert min(kstest(column, "uniform").pvalue for column in shares.T) > 0.01
    assert all(each.log_density == proposal.log_density(each.weights) for each in found)


@pytest.mark.parametrize(
    ("probabilities", "u", "drawn"),
    [
        ([0.0, 1.0], 0.0, ArmDraw(1, 1.0)),
        ([0.5, 0.5], 0.5, ArmDraw(1, 0.5)),
        ([0.5, 0.5, 0.0], 1.0, ArmDraw(1, 0.5)),
        ([0.1] * 10, 1.0, ArmDraw(9, 0.1)),
        ([0.3, 0.3, 0.3, 0.0], 0.95, ArmDraw(2, 0.3)),
        ([float("nan"), 1.0], 0.0, ArmDraw(1, 1.0)),
        ([-0.5, 1.0], 0.0, ArmDraw(1, 1.0)),
    ],
)
def test_what_has_no_probability_is_never_drawn(probabilities: list[float], u: float, drawn: ArmDraw) -> None:
    assert draw_of(probabilities, u) == drawn


@pytest.mark.parametrize("probabilities", [[], [0.0, 0.0], [float("nan")]])
def test_a_policy_without_probabilities_draws_nothing(probabilities: list[float]) -> None:
    with pytest.raises(ValueError, match="no arm has a probability"):
        draw_of(probabilities, 0.5)
