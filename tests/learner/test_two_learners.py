"""Two learners of one experiment on a real Redis: one lease, one error budget, whatever data directories they have."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from event_schemas.experiment import Experiment
from event_schemas.instant import wall_clock_ms
from learner.checkpoints.checkpoint import CHECKPOINTS_FOLDER
from learner.checkpoints.learner_lease import LeaseHolder
from learner.checkpoints.publishing import Publisher
from learner.learner_run import Learner, RunReport
from policy_store.backends.redis_store import RedisStore
from policy_store.decisions.account_keeping import read_account_verified
from policy_store.records.objective_weights import ObjectiveWeights
from policy_store.records.signing import Role, SigningKey
from policy_store.records.store_errors import LeaseHeld
from tests.learner_samples import Trained, trust_of
from tests.policy_store.foreign_hands import RedisHands

KEY = SigningKey.generate(Role.LEARNER, "m")
FIRST_SHARE = 0.025
KILLED = """
import json, sys, time
from event_schemas.instant import wall_clock_ms
from policy_store.backends import RedisStore
from policy_store.decisions import Decider, FoundAccount, RunAccount, keep_account
from policy_store.records import CheckpointManifest, SigningKey

url, name, secret = sys.argv[1:]
told = json.loads(sys.stdin.readline())
store, key = RedisStore(url, name), SigningKey.parse(secret)
lease = store.acquire_lease("elsewhere, process 7", 2.0)
manifest = CheckpointManifest.parse(json.dumps(told["manifest"]).encode())
said = Decider(by="learner", reason="", now_ms=wall_clock_ms(), key=key)
over, run = FoundAccount(None, None), RunAccount(1, manifest, told["budget"])
keep_account(store, run, over, said, fencing_token=lease.token)
print("spent", flush=True)
while True:
    store.renew_lease(lease)
    time.sleep(0.2)
"""
"""A learner that has spent the share of its first look and has not published yet."""


@dataclass
class Bench:
    """One store, and learners that begin as copies of a trained one."""

    url: str
    experiment: Experiment
    trained: Trained
    folder: Path

    def __post_init__(self) -> None:
        self.store = RedisStore(self.url, self.experiment.name)
        self.hands = RedisHands(self.store, self.url)
        self.hands.empty()

    def learner(self, name: str, *, wiped: bool) -> Learner:
        """With the rows of the trained learner, and its checkpoints unless `wiped`, in a directory of its own."""
        copy = self.trained.copied_to(self.folder / name)
        if wiped:
            for path in sorted((copy.directory / CHECKPOINTS_FOLDER).rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
        rule = trust_of(KEY, self.experiment)
        store = RedisStore(self.url, self.experiment.name)
        holder = LeaseHolder(f"{name}, process 1", 2.0)
        return replace(copy, publisher=Publisher(store, KEY, self.experiment, wall_clock_ms, rule, holder))

    def run(self, learner: Learner) -> RunReport:
        return learner.run(ObjectiveWeights.in_force(self.experiment))

    def spent(self) -> float:
        """What the store says that the gate has spent."""
        record = read_account_verified(self.store, trust_of(KEY, self.experiment)).record
        assert record is not None
        return float(record.budget["spent"]) + float(record.budget["spent_before"])

    def close(self) -> None:
        self.hands.empty()
        self.hands.close()
        self.store.close()


@pytest.fixture
def bench(redis_url: str, experiment: Experiment, trained: Trained, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(redis_url, experiment, trained, tmp_path)
    yield made
    made.close()


def test_a_second_or_wiped_data_directory_gets_no_second_first_look(
    bench: Bench, world: Any, ingest: Callable[..., None]
) -> None:
    first, version = bench.learner("first", wiped=False), bench.trained.report.checkpoint.version
    assert bench.run(first).checkpoint.version == version
    assert bench.spent() == FIRST_SHARE, "a look that only its machine knew is written before it is published"
    second = bench.learner("second", wiped=True)
    stands = bench.run(second)
    assert (stands.trained, stands.checkpoint.version) == (False, version), "no new row: no look, and no training"
    ingest(world, world.examples(600, first=6000), second.directory)
    report = bench.run(second)
    manifest = report.checkpoint.manifest
    assert report.as_dict()["reason_codes"] == ["look_not_due"]
    assert version in report.verdict.reasons[0].sentence
    assert (manifest.evaluation["run"], manifest.evaluation["budget"]["spent"]) == (2, FIRST_SHARE)
    assert manifest.parent is None, "it has no checkpoint to continue"
    record = read_account_verified(bench.store, trust_of(KEY, bench.experiment)).record
    assert record is not None and (record.run, record.version) == (2, report.checkpoint.version)
    assert bench.spent() == FIRST_SHARE


def test_an_emptied_store_gets_the_account_back_from_a_learner(bench: Bench) -> None:
    learner = bench.learner("first", wiped=False)
    bench.run(learner)
    bench.hands.empty()
    with capture_logs() as said:
        report = bench.run(learner)
    assert not report.trained
    assert bench.spent() == FIRST_SHARE
    [line] = [line for line in said if line["event"].startswith("looks of the gate counted")]
    assert (line["unknown_to"], line["spent"]) == ("the policy store", FIRST_SHARE)
    assert bench.store.versions() == [report.checkpoint.version], "it is published again"


def test_a_killed_learner_has_spent_its_look_and_is_followed_after_the_life_of_its_lease(bench: Bench) -> None:
    manifest = bench.trained.report.checkpoint.manifest
    content = json.loads(manifest.canonical()) | {"version": "unpublished"}
    told = {"manifest": content, "budget": manifest.evaluation["budget"]}
    second = bench.learner("second", wiped=True)
    assert second.publisher is not None
    arguments = [bench.url, bench.experiment.name, KEY.secret_text()]
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdin is not None and child.stdout is not None
    child.stdin.write(json.dumps(told) + "\n")
    child.stdin.flush()
    assert child.stdout.readline() == "spent\n"
    with pytest.raises(LeaseHeld, match="'elsewhere, process 7'"):
        bench.run(second)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    with second.publisher.lease.kept():
        while not second.publisher.lease.is_held:
            time.sleep(0.05)
        report = bench.run(second)
    assert report.trained, "nobody has the checkpoint of the look"
    assert report.as_dict()["reason_codes"] == ["look_not_due"]
    assert "unpublished" in report.verdict.reasons[0].sentence
    assert report.checkpoint.manifest.evaluation["run"] == 2
    assert bench.spent() == FIRST_SHARE
