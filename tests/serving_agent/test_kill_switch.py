"""The watched file stops a node within a second, without any network."""

from __future__ import annotations

import time
from pathlib import Path

from serving_agent.kill_switch import KillSwitch


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
