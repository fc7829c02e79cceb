"""The whole demo: start the runtime, run both acts, write the report, stop everything."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from rich.console import Console

from trimtab.demo import homefeed_act, open_bandit_act
from trimtab.demo.act_stage import ActStage
from trimtab.demo.demo_summary import DemoResult, summary_of
from trimtab.demo.job_runner import JobRunner
from trimtab.demo.live_screen import LiveScreen
from trimtab.demo.report_page import render_report
from trimtab.demo.topic_counts import TopicCounts
from trimtab.demo.workspace import HOMEFEED, DemoExperiment, Workspace
from trimtab.embedded_runtime import EmbeddedRuntime, embedded_runtime
from trimtab.stop_flag import StopFlag

SUMMARY, REPORT = "summary.json", "report.html"


def run_demo(directory: Path, console: Console, now: datetime, stop: StopFlag) -> DemoResult:
    """Runs both acts in `directory`, which is emptied first, and writes summary.json and report.html there.

    Raises DemoFailed, also when another demo runs there, or another TrimtabError. No process keeps running, whatever
    happens.
    """
    began = time.monotonic()
    workspace, screen = Workspace(directory.resolve()), LiveScreen(console)
    with (
        workspace.prepared(),
        embedded_runtime(workspace.directory / "runtime") as runtime,
        JobRunner(workspace.logs, stop.check) as runner,
    ):
        console.print(f"embedded broker {runtime.kafka_bootstrap}, redis {runtime.redis_url}; logs in {workspace.logs}")
        campaigns = [DemoExperiment(workspace, runtime, file) for file in open_bandit_act.experiment_files()]
        screen.begin_act("Act 1", "a real log: the Open Bandit Dataset, three campaigns, one experiment each")
        with _stage(runner, screen, runtime, campaigns) as stage:
            outcomes = open_bandit_act.play(stage)
        homefeed = [DemoExperiment(workspace, runtime, HOMEFEED)]
        screen.begin_act("Act 2", "two objectives, live: a simulated homefeed with known truth (the world `easy`)")
        with _stage(runner, screen, runtime, homefeed) as stage:
            outcomes.append(homefeed_act.play(stage, now))
        result = DemoResult(outcomes, screen.durations, time.monotonic() - began, runner.peak_bytes)
        (workspace.directory / SUMMARY).write_text(json.dumps(summary_of(result), indent=2) + "\n", encoding="utf-8")
        (workspace.directory / REPORT).write_text(render_report(result, now), encoding="utf-8")
    return result


@contextmanager
def _stage(
    runner: JobRunner, screen: LiveScreen, runtime: EmbeddedRuntime, experiments: Sequence[DemoExperiment]
) -> Iterator[ActStage]:
    prefixes = [experiment.topic_prefix for experiment in experiments]
    with TopicCounts(runtime.kafka_bootstrap, prefixes) as counts:
        yield ActStage(runner, screen, counts, experiments)
