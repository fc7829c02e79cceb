"""A learner that may promote by its own experiment file, and a node that does not allow it by another one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from event_schemas.codec import Codec
from event_schemas.experiment import Experiment, load_experiment
from event_schemas.instant import wall_clock_ms
from event_schemas.registry import Registry
from event_schemas.section_digests import section_digests
from feature_contract import FeatureContract
from learner.checkpoints.checkpoint import Checkpoint
from learner.checkpoints.publishing import Published, Publisher
from learner.judgement.gate import GateVerdict, Verdict
from policy_store.backends.redis_store import RedisStore
from policy_store.records.checkpoint_record import describe_blobs
from producers.delivery.memory_log import MemoryLog
from serving_agent.node import NodeConnections, ServingNode, ServingNodeConfig, build_node
from tests.components.experiment_sample import HOMEFEED
from tests.learner_samples import trust_of
from tests.policy_store.store_samples import LEARNER, TRUSTED, manifest
from tests.serving_samples import preferring
from tests.trimtab.store_commands import StoreCommands

FILE = HOMEFEED + '\n[features]\nuser_embedding_dim = 4\n\n[gate]\napproval = "manual"\n'
AUTO = FILE.replace('approval = "manual"', 'approval = "auto"')
REWRITTEN = "# the same, written in another way\n" + AUTO.replace('"30m"', '"1800s"').replace("clip = 1\n", "")
VERSION = "20240501T120000000Z-0a1b2c3d"


@pytest.fixture
def cli(redis_url: str, tmp_path: Path) -> StoreCommands:
    """A person whose file is the learner's."""
    return StoreCommands(redis_url, tmp_path, document=AUTO)


def learn(cli: StoreCommands) -> Published:
    """What a learner with the person's file publishes after a pass."""
    experiment = cli.experiment
    blobs = {"policy.onnx": preferring(experiment, repin=2)}
    fields: dict[str, Any] = {
        "action_space": experiment.action_space.digest,
        "arms": experiment.action_space.arms,
        "objectives": list(experiment.objective_names),
        "feature_contract": FeatureContract.from_experiment(experiment).digest,
        "blobs": {name: entry.model_dump() for name, entry in describe_blobs(blobs).items()},
        "section_digests": section_digests(experiment),
    }
    checkpoint = Checkpoint(manifest(cli.name, VERSION, created_at=wall_clock_ms(), **fields), blobs, b"")
    publisher = Publisher(cli.store(), LEARNER, experiment, wall_clock_ms, trust_of(LEARNER, experiment))
    return publisher.publish(checkpoint, GateVerdict(Verdict.PASS, ()))


@contextmanager
def node_with(experiment: Experiment, redis_url: str) -> Iterator[ServingNode]:
    """A serving node that has looked at the store once."""
    store = RedisStore(redis_url, experiment.name)
    config = ServingNodeConfig(experiment, TRUSTED, "ranker-7")
    node = build_node(config, NodeConnections(store, MemoryLog(), Codec(Registry.bundled())))
    node.start()
    try:
        yield node
    finally:
        node.close()
        store.close()


def written(cli: StoreCommands, document: str) -> Experiment:
    """Another machine's file of the same experiment."""
    file = cli.directory / "other.toml"
    file.write_text(document.replace('name = "homefeed"', f'name = "{cli.name}"'), encoding="utf-8")
    return load_experiment(file)


def test_status_says_who_differs_in_what_and_who_refuses_it(cli: StoreCommands, redis_url: str) -> None:
    published = learn(cli)
    assert published.channel == "canary"
    with capture_logs() as lines, node_with(written(cli, FILE), redis_url):
        pass
    [told] = [line for line in lines if line["event"] == "pick-up"]
    assert (told["log_level"], told["refused"], told["version"]) == ("warning", VERSION, None)
    assert "role learner may not sign" in told["why"] and "channel:canary" in told["why"]

    shown = cli.run("policy", "status", exit_code=1)
    canary = next(line for line in shown.splitlines() if line.startswith("canary"))
    assert "refused by 1 of 1" in canary and "valid" not in canary
    assert "refused by ranker-7: unverified: channel:canary: key learner/main with role learner" in shown
    assert "node     ranker-7\n    differs in [gate]\n" in shown
    assert f"refused {VERSION} on canary: unverified" in shown
    assert not set("{}") & set(shown), "no Python value is printed"
    data = cli.json("policy", "status", exit_code=1)
    assert data["differing_files"] == [{"process": "node", "name": "ranker-7", "sections": ["gate"]}]
    [row] = [each for each in data["channels"] if each["channel"] == "canary"]
    assert (row["state"], row["refused_by"][0]["node"]) == ("valid", "ranker-7")


def test_a_person_with_the_nodes_file_sees_that_the_learner_differs(cli: StoreCommands, redis_url: str) -> None:
    learn(cli)
    cli.file.write_text(cli.file.read_text(encoding="utf-8").replace('"auto"', '"manual"'), encoding="utf-8")
    with node_with(cli.experiment, redis_url):
        pass
    data = cli.json("policy", "status", exit_code=1)
    assert data["differing_files"] == [{"process": "learner", "name": VERSION, "sections": ["gate"]}]


def test_with_one_file_everything_is_well(cli: StoreCommands, redis_url: str) -> None:
    learn(cli)
    with node_with(written(cli, REWRITTEN), redis_url) as node:
        assert node.snapshot.versions() == {"canary": VERSION}
    cli.run("policy", "promote", "canary", "--to", "stable", "--by", "ada")
    with node_with(written(cli, REWRITTEN), redis_url) as node:
        assert node.snapshot.versions() == {"stable": VERSION}
    shown = cli.run("policy", "status")
    assert "processes with another experiment file than this one: none" in shown
    [row] = [line.split() for line in shown.splitlines() if line.startswith("ranker-7")]
    assert row[:2] == ["ranker-7", VERSION] and len(row) == 4, "and since when"
