"""Act 1's inputs: the campaigns' files, and held-out requests under new ids, two weeks later."""

from pathlib import Path

import polars as pl
import pytest

from feature_contract import FeatureContract
from trimtab.demo.open_bandit_act import (
    CAMPAIGNS,
    HELD_OUT_REQUESTS,
    LATER_MS,
    WARM_REQUESTS,
    experiment_files,
    first_requests,
    held_out_requests,
)
from trimtab.demo.workspace import OPEN_BANDIT, DemoExperiment, Workspace
from trimtab.embedded_runtime import EmbeddedRuntime

RUNTIME = EmbeddedRuntime("127.0.0.1:9", "redis://127.0.0.1:8/0", "embedded-test")


def campaign(name: str, directory: Path) -> DemoExperiment:
    files = dict(zip(CAMPAIGNS, experiment_files(), strict=True))
    return DemoExperiment(Workspace(directory), RUNTIME, files[name])


@pytest.mark.parametrize("name", CAMPAIGNS)
def test_held_out_requests_lie_after_the_log_and_carry_its_features(name: str, tmp_path: Path) -> None:
    experiment = campaign(name, tmp_path)
    requests = held_out_requests(experiment)
    assert len({request.request_id for request in requests}) == len(requests) == HELD_OUT_REQUESTS
    log = pl.read_parquet(OPEN_BANDIT / f"random_{name}.parquet")["timestamp"].dt.epoch("ms")
    newest = int(str(log.max()))
    times = [int(request.event_time or 0) for request in requests]
    assert times == sorted(times) and min(times) > newest and max(times) <= newest + LATER_MS
    assert max(times) - min(times) < experiment.spec.window_ms, "a slower node must not make them late"
    records = [request.as_record(str(request.request_id), 0) for request in requests]
    assert FeatureContract.from_experiment(experiment.spec).encodable(records).all()


@pytest.mark.parametrize("name", CAMPAIGNS)
def test_warm_up_requests_lie_before_the_log(name: str, tmp_path: Path) -> None:
    requests = first_requests(campaign(name, tmp_path))
    oldest = pl.read_parquet(OPEN_BANDIT / f"random_{name}.parquet")["timestamp"].dt.epoch("ms").min()
    assert len(requests) == WARM_REQUESTS
    assert all(int(request.event_time or 0) < int(str(oldest)) for request in requests)


def test_every_choice_of_the_shadow_is_logged(tmp_path: Path) -> None:
    assert all(campaign(name, tmp_path).spec.experiment.log_rate == 1.0 for name in CAMPAIGNS)
