"""Every right that a command needs, left out alone: the command ends at once and names it, with the fix."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from producers.topics.topic_admin import create_topics
from tests.components.command_pool import Call, Ended, run_all
from tests.components.experiment_sample import BRIDGED_SOURCE, HOMEFEED
from tests.components.secured_broker import ADMIN, SecuredBroker
from tests.producers.replay_samples import EXPERIMENT, MAPPING, row, write_log

USER = "nobody"
PREFIX = "granted."
Right = tuple[str, str, str]
EVENTS, EXAMPLES, LETTERS, TALLIES, EXPLORATIONS = (
    ("topic", PREFIX + name) for name in ("events", "examples", "dead-letters", "tallies", "explorations")
)
SOURCE = ("topic", "granted-shop")
RIGHTS: dict[str, tuple[Right, ...]] = {
    "join": (
        ("READ", *EVENTS),
        ("WRITE", *EVENTS),
        ("WRITE", *EXAMPLES),
        ("WRITE", *LETTERS),
        ("READ", "group", f"{PREFIX}join"),
    ),
    "bridge --until-end": (
        ("READ", *SOURCE),
        ("READ", *EXPLORATIONS),
        ("WRITE", *EVENTS),
        ("WRITE", *LETTERS),
        ("READ", "group", f"{PREFIX}bridge"),
    ),
    "replay shop.jsonl --mapping mapping.toml": (("WRITE", *EVENTS),),
    "simulate --requests 10 --days 0.1": (("WRITE", *EVENTS), ("WRITE", *EXPLORATIONS), ("WRITE", *TALLIES)),
    "reconcile": (("READ", *EVENTS), ("READ", *EXAMPLES), ("READ", *LETTERS)),
    "dead-letters list": (("READ", *LETTERS),),
    "dead-letters replay": (("READ", *EVENTS), ("READ", *EXAMPLES), ("READ", *LETTERS), ("WRITE", *EXAMPLES)),
    "learn --once --no-publish": (("READ", *EXAMPLES), ("WRITE", *LETTERS), ("READ", *TALLIES)),
}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, secured_kafka: SecuredBroker) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("rights")
    live = HOMEFEED.replace('clock = "replay"', 'clock = "live"')
    source = BRIDGED_SOURCE.format(topic=SOURCE[1]).replace("sampled = false", "sampled = true")
    (folder / "trimtab.toml").write_text(live + source, encoding="utf-8")
    (folder / "shelf.toml").write_text(EXPERIMENT, encoding="utf-8")
    (folder / "mapping.toml").write_text(MAPPING, encoding="utf-8")
    write_log(folder / "shop.jsonl", [row()])
    client = secured_kafka.client_config(ADMIN)
    create_topics(client, PREFIX, 1, 1)
    admin = AdminClient(dict(client))
    admin.create_topics([NewTopic(SOURCE[1], 1, 1)], request_timeout=10.0)[SOURCE[1]].result()
    yield folder
    secured_kafka.revoke_all(USER)


def _run(secured_kafka: SecuredBroker, folder: Path, left_out: Right) -> dict[str, Ended]:
    """The commands that need this right, run by a user who has all the others."""
    secured_kafka.revoke_all(USER)
    for right in {right for rights in RIGHTS.values() for right in rights} - {left_out}:
        secured_kafka.grant(USER, *right, prefixed=False)
    calls = {}
    for line, rights in RIGHTS.items():
        if left_out in rights:
            variables = {
                **secured_kafka.environment(USER),
                "TRIMTAB_TOPIC_PREFIX": PREFIX,
                "TRIMTAB_DATA_DIR": str(folder / "var"),
                "TRIMTAB_EXPERIMENT": "shelf.toml" if line.startswith("replay") else "trimtab.toml",
            }
            calls[line] = Call(tuple(line.split()), variables, folder)
    return run_all(calls)


@pytest.mark.parametrize(
    "left_out", sorted({right for rights in RIGHTS.values() for right in rights}), ids=lambda right: " ".join(right)
)
def test_a_right_that_is_left_out_is_named(secured_kafka: SecuredBroker, desk: Path, left_out: Right) -> None:
    operation, kind, name = left_out
    words = f"error: Kafka user '{USER}' may not {operation.title()} {kind} {name}"
    grant = f"fix: grant it: kafka-acls .*--operation {operation.title()} --{kind} {re.escape(name)}"
    wrong = {}
    for line, ended in _run(secured_kafka, desk, left_out).items():
        error, fix = ([*ended.last_words, "", ""])[:2]
        if ended.code != 1 or error != words or re.match(grant, fix) is None or "Traceback" in ended.errors:
            wrong[line] = (ended.code, ended.waited, ended.errors[-600:])
    assert wrong == {}
