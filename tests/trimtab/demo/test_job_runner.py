"""The demo's processes, with real `trimtab` commands."""

import time
from pathlib import Path

import pytest

from trimtab.demo.job_runner import (
    DemoFailed,
    Job,
    JobResult,
    JobRunner,
    inherited_environment,
)


def nothing() -> None:
    """A tick that does nothing."""


def keygen(name: str) -> Job:
    return Job(name, ["policy", "keygen", "--role", "learner", "--id", name, "--json"], {})


BROKEN = Job("broken", ["policy", "promote"], {})
BROKER = Job("broker", ["broker"], {})


def test_jobs_side_by_side_give_their_output_in_order(tmp_path: Path) -> None:
    ticks = list[int]()
    with JobRunner(tmp_path, nothing) as runner:
        results = runner.run([keygen("one"), keygen("two")], lambda: ticks.append(1))
    assert [result.json()["key_id"] for result in results] == ["learner/one", "learner/two"]
    assert {file.name for file in tmp_path.iterdir()} == {"one.out", "two.out"}, "empty logs are not left there"
    assert ticks and runner.peak_bytes > 0


def test_chains_run_in_order_and_only_so_many_at_once(tmp_path: Path) -> None:
    seen = list[set[str]]()

    def watch() -> None:
        """Which jobs have begun and not ended: a job's output is made when it starts."""
        seen.append({file.stem for file in tmp_path.glob("*.out")})

    chains = [[keygen("a"), keygen("b")], [keygen("c")], [keygen("d")]]
    with JobRunner(tmp_path, nothing) as runner:
        results = runner.run_chains(chains, 2, watch)
    assert [[each.json()["key_id"] for each in chain] for chain in results] == [
        ["learner/a", "learner/b"],
        ["learner/c"],
        ["learner/d"],
    ]
    assert {"a", "c"} in seen and {"d"} <= seen[-1]
    assert not any("b" in names and "a" not in names for names in seen)


def test_a_job_that_fails_is_named_with_its_last_words(tmp_path: Path) -> None:
    with (
        JobRunner(tmp_path, nothing) as runner,
        pytest.raises(DemoFailed, match="broken ended with exit status 2") as raised,
    ):
        runner.run([BROKEN], nothing)
    assert str(tmp_path / "broken.log") in raised.value.fix


def test_a_status_that_is_accepted_is_no_failure(tmp_path: Path) -> None:
    with JobRunner(tmp_path, nothing) as runner:
        job = Job(BROKEN.name, BROKEN.arguments, {}, accept=(0, 2))
        assert runner.run([job], nothing)[0].status == 2


def test_a_background_child_that_dies_ends_the_wait(tmp_path: Path) -> None:
    with JobRunner(tmp_path, nothing) as runner:
        runner.start(BROKEN)
        with pytest.raises(DemoFailed, match="broken ended"):
            runner.wait_until(lambda: False, "nothing", 30, nothing)


def test_waiting_too_long_says_for_what(tmp_path: Path) -> None:
    with (
        JobRunner(tmp_path, nothing) as runner,
        pytest.raises(DemoFailed, match=r"the tide: did not happen within 0\.2 s"),
    ):
        runner.wait_until(lambda: False, "the tide", 0.2, nothing)


def test_leaving_stops_what_runs(tmp_path: Path) -> None:
    with JobRunner(tmp_path, nothing) as runner:
        runner.start(BROKER)
        started = time.monotonic()
        runner.wait_until(lambda: "export" in (tmp_path / "broker.out").read_text(), "broker", 30, nothing)
    assert time.monotonic() - started < 40
    runner.stop_all()


def test_output_that_is_no_json_object_is_reported() -> None:
    with pytest.raises(DemoFailed, match="printed no JSON"):
        JobResult("x", 0, "hello").json()
    with pytest.raises(DemoFailed, match="printed list"):
        JobResult("x", 0, "[]").json()


def test_children_inherit_no_setting_and_share_bytecode_where_none_may_be_written(tmp_path: Path) -> None:
    seen = inherited_environment({"PATH": "/bin", "TRIMTAB_DATA_DIR": "x"}, tmp_path)
    assert seen == {"PATH": "/bin"}
    seen = inherited_environment({"PYTHONDONTWRITEBYTECODE": "1"}, tmp_path)
    assert seen == {"PYTHONPYCACHEPREFIX": str(tmp_path)}


def test_a_stop_request_ends_the_wait_and_the_children(tmp_path: Path) -> None:
    def stopped() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), JobRunner(tmp_path, stopped) as runner:
        runner.run([BROKER], nothing)
    runner.stop_all()
