"""The lines that stay on the screen after a step."""

import io

import pytest
from rich.console import Console

from trimtab.demo.live_screen import LiveScreen


def test_a_finished_step_leaves_one_line_with_its_last_detail() -> None:
    text = io.StringIO()
    screen = LiveScreen(Console(file=text, width=100))
    screen.begin_act("Act 1", "a beginning")
    with screen.step("count") as step:
        step.show("half")
        step.show("all of it")
    lines = [line for line in text.getvalue().splitlines() if line.strip()]
    assert lines[0] == "Act 1  a beginning"
    assert lines[1].startswith("  ✓") and lines[1].endswith("count  all of it") and "half" not in text.getvalue()
    [(act, name, seconds)] = screen.durations
    assert (act, name) == ("Act 1", "count") and seconds >= 0


def test_a_step_that_fails_is_not_ticked() -> None:
    text = io.StringIO()
    screen = LiveScreen(Console(file=text, force_terminal=True, width=80))
    with pytest.raises(RuntimeError), screen.step("break"):
        raise RuntimeError
    assert "✓" not in text.getvalue() and not screen.durations
