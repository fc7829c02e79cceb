"""A unit with too much of the traffic is named and left out; where few people make the log, none of them is."""

from typing import Any

import pytest

from learner.examples.heavy_units import heavy_units, without_units
from learner.examples.learning_rows import LearningRows
from tests.learner_samples import World


def rows_of(world: World, users: list[Any]) -> LearningRows:
    examples = world.examples(len(users))
    for example, user in zip(examples, users, strict=True):
        example["request"]["user_id"] = user
    return world.rows(examples)


def people(count: int, users: int) -> list[Any]:
    return [f"u{number % users}" for number in range(count)]


@pytest.mark.parametrize(("bot_rows", "named", "stops"), [(15, 0, 0), (60, 1, 0), (160, 1, 1)])
def test_a_heavy_user_is_named_and_a_bot_stops(world: World, bot_rows: int, named: int, stops: int) -> None:
    users = [*people(3_000 - bot_rows, 900), *["\x1b[31mbot"] * bot_rows]
    rows = rows_of(world, users)
    found = heavy_units(rows)
    assert (len(found), sum(each.stops for each in found)) == (named, stops)
    left = without_units(rows, found)
    assert left.count == 3_000 - named * bot_rows
    if found:
        assert found[0].as_dict() == {"name": "\x1b[31mbot", "rows": bot_rows, "of": 3_000, "stops": bool(stops)}
        assert "\x1b" not in str(found[0]) and f"{bot_rows} of 3000" in str(found[0])


def test_a_session_without_a_user_can_be_heavy_and_its_requests_are_not(make_experiment: Any, make_world: Any) -> None:
    session = {"name": "small", "salt": "s", "exploration_rate": 0.5, "exploration_unit": "session"}
    world = make_world(make_experiment(experiment=session))
    examples = world.examples(1_000)
    for number, example in enumerate(examples):
        example["request"]["user_id"] = None
        unit = "crawl" if number < 100 else f"s{number % 300}"
        example["request"]["request_id"] = f"{unit}~{number}"
    assert [each.name for each in heavy_units(world.rows(examples))] == ["crawl"]
    assert heavy_units(rows_of(world, [None] * 200)) == ()


@pytest.mark.parametrize("users", [1, 3, 19, 100, 250])
def test_few_people_are_no_bots(world: World, users: int) -> None:
    assert heavy_units(rows_of(world, people(1_000, users))) == ()


def test_people_who_differ_are_no_bots(world: World) -> None:
    """The most active of 100 has almost 7 % of the rows, and the next ones little less: they are only left out."""
    sizes = [66, 50, 44, 39, 36, *[8] * 95]
    found = heavy_units(rows_of(world, [f"u{number}" for number, size in enumerate(sizes) for _ in range(size)]))
    assert [each.name for each in found] == ["u0", "u1", "u2"] and not any(each.stops for each in found)


def test_two_bots_do_not_hide_each_other(world: World) -> None:
    users = [*people(2_700, 900), *["large"] * 180, *["small"] * 105]
    assert [(each.name, each.stops) for each in heavy_units(rows_of(world, users))] == [
        ("large", True),
        ("small", False),
    ]
