"""Worlds are found by name, and each says what is true of it."""

import pytest

from event_schemas.errors import SettingError
from simulator.worlds.named_worlds import WORLDS, world


def test_every_world_has_a_name_a_version_and_figures() -> None:
    assert set(WORLDS) == {"homefeed", "null", "boundary", "no_heterogeneity", "context_dominant", "easy"}
    for name, each in WORLDS.items():
        assert each.name == name and each.label == f"{name}/{each.version}" and len(each.summary) > 80
    assert len({each.seed for each in WORLDS.values()}) == len(WORLDS)


def test_an_unknown_world_is_named_with_those_there_are() -> None:
    with pytest.raises(SettingError, match="no world 'home'") as refused:
        world("home")
    assert "homefeed, null" in refused.value.fix


def test_the_world_of_the_demo_is_drawn_from_the_experiment() -> None:
    with pytest.raises(ValueError, match="drawn by"):
        world("easy").populated(10)
