"""The watched file stops a node within a second, without any network."""

from __future__ import annotations

import time
from pathlib import Path

from serving_agent.pickup.kill_switch import KillSwitch
from tests.components.forking import in_child, outcome_of


def wait_for(switch: KillSwitch, pulled: bool) -> float:
    began = time.monotonic()
    while switch.pulled is not pulled and time.monotonic() - began < 5.0:
        time.sleep(0.01)
    return time.monotonic() - began


def test_follows_the_file_within_a_second(tmp_path: Path) -> None:
    file = tmp_path / "kill"
    switch = KillSwitch(file)
    switch.start()
    try:
        assert not switch.pulled
        file.touch()
        assert wait_for(switch, True) < 1.0
        file.unlink()
        assert wait_for(switch, False) < 1.0
    finally:
        switch.close()


def test_stands_as_the_file_stands_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "kill").touch()
    assert KillSwitch(tmp_path / "kill").pulled


def test_killed_from_the_environment_stays_killed(tmp_path: Path) -> None:
    assert KillSwitch(None, initially=True).pulled
    assert KillSwitch(tmp_path / "kill", initially=True).pulled


def test_without_a_file_nothing_is_watched() -> None:
    switch = KillSwitch(None)
    switch.start()
    assert not switch.pulled
    switch.close()


def test_a_path_that_cannot_be_looked_at_changes_nothing() -> None:
    assert not KillSwitch(Path("x" * 5000)).pulled


def watch_in_both(folder: str) -> dict[str, bool]:
    file = Path(folder) / "kill"
    watched, closed, forced = KillSwitch(file), KillSwitch(file), KillSwitch(file, initially=True)
    watched.start()
    closed.start()
    closed.close()

    def child() -> dict[str, bool]:
        seen = {"before": watched.pulled, "forced": forced.pulled}
        file.touch()
        wait_for(watched, True)
        seen |= {"killed": watched.pulled, "closed": closed.pulled}
        seen["grandchild"] = in_child(lambda: watched.pulled)
        file.unlink()
        wait_for(watched, False)
        watched.close()
        return seen | {"released": not watched.pulled}

    told: dict[str, bool] = in_child(child)
    return told


def test_a_child_watches_by_itself(tmp_path: Path) -> None:
    assert outcome_of(watch_in_both, tmp_path) == {
        "before": False,
        "forced": True,
        "killed": True,
        "closed": False,
        "grandchild": True,
        "released": True,
    }
