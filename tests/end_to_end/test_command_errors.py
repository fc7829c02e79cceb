"""Every command against everything that can be wrong around it: two lines that name the fault, and no traceback."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis
import typer
from confluent_kafka import Producer

from policy_store.records.signing import Role, SigningKey, write_key_pair
from producers.topics.topic_admin import create_topics
from tests.components.certificates import write_certificates
from tests.components.command_pool import Call, Ended, run_all
from tests.components.experiment_sample import BRIDGED_SOURCE, HOMEFEED
from tests.components.free_port import free_port
from tests.components.kafka_broker import KafkaBroker
from tests.components.refusing_front import refusing_front
from tests.components.secured_broker import ADMIN, SecuredBroker
from tests.components.tcp_forwarder import TcpForwarder
from tests.producers.replay_samples import EXPERIMENT, MAPPING, row, write_log
from tests.upgrades.frozen_set import DATA
from trimtab.cli import build_app

FROZEN = DATA / "0.1.0"
SAID_WITHIN = 10.0
"""Seconds after which an absent broker was to be named."""
KAFKA, REDIS, REGISTRY, SETTINGS, EXPERIMENT_FILE, WRITES, METRICS = (
    "kafka",
    "redis",
    "registry",
    "settings",
    "experiment",
    "disk",
    "metrics",
)
ALL = (SETTINGS, EXPERIMENT_FILE)
LOG = (*ALL, KAFKA, REGISTRY)
STORE = (*ALL, REDIS)


@dataclass(frozen=True, slots=True)
class Command:
    """A command line, and what the command needs; `more` are variables of its own."""

    line: str
    needs: tuple[str, ...]
    more: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The words before the first option or argument that is none of the command's name."""
        return " ".join(next(leaf for leaf in LEAVES if tuple(self.line.split()[: len(leaf)]) == leaf))


def leaves(command: object, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    children = getattr(command, "commands", None)
    return (
        [path] if not children else [leaf for name, child in children.items() for leaf in leaves(child, (*path, name))]
    )


LEAVES = leaves(typer.main.get_command(build_app()))
SHELF = {"TRIMTAB_EXPERIMENT": "shelf.toml"}
COMMANDS = [
    Command("demo", (SETTINGS, WRITES, METRICS)),
    Command("config show", ALL),
    Command("config check --offline", (SETTINGS,)),
    Command("status", ALL),
    Command("topics create", (SETTINGS, KAFKA)),
    Command("replay shop.jsonl --mapping mapping.toml", LOG, SHELF),
    Command("bridge --until-end", (*LOG, METRICS)),
    Command("join", (*LOG, METRICS)),
    Command("learn --once", (*LOG, WRITES, METRICS)),
    Command("evaluate --policy uniform", ALL),
    Command("evidence", ALL),
    Command("report", ALL),
    Command("rebuild 20261130T120000000Z-1a2b3c4d", ALL),
    Command("forget u-1", (*ALL, WRITES)),
    Command("serve --port 0", (*ALL, REGISTRY, WRITES, METRICS)),
    Command("simulate --requests 10 --days 0.1", (*LOG, METRICS)),
    Command("reconcile", LOG),
    Command("broker", ()),
    Command("policy keygen --role learner --id x", ()),
    Command("policy status", STORE),
    Command("policy list", STORE),
    Command("policy show v1", STORE),
    Command("policy promote v1 --to stable", STORE),
    Command("policy rollback", STORE),
    Command("policy kill --reason test", STORE),
    Command("policy resume --reason test", STORE),
    Command("policy withdraw", STORE),
    Command("policy rebase", STORE),
    Command("policy history", STORE),
    Command("policy verify", STORE),
    Command("alpha show", STORE),
    Command("alpha propose 0.3", STORE),
    Command("alpha approve p-1", STORE),
    Command("alpha reject p-1", STORE),
    Command("experiment start x --arm a,alpha=0.3 --share 0.1", STORE),
    Command("experiment enlarge x --share 0.5", STORE),
    Command("experiment list", STORE),
    Command("experiment show x", STORE),
    Command("experiment read x", STORE),
    Command("experiment conclude x --verdict stopped", STORE),
    Command("experiment ledger", STORE),
    Command("experiment releases", STORE),
    Command("dead-letters list", (SETTINGS, KAFKA, REGISTRY)),
    Command("dead-letters show 0:0", (SETTINGS, KAFKA, REGISTRY)),
    Command("dead-letters replay", LOG),
]


def test_the_table_has_every_command() -> None:
    assert {command.name for command in COMMANDS} == {" ".join(leaf) for leaf in LEAVES}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with all that the commands read."""
    folder = tmp_path_factory.mktemp("desk")
    (folder / "trimtab.toml").write_text(HOMEFEED + BRIDGED_SOURCE.format(topic="errors.shop"), encoding="utf-8")
    (folder / "shelf.toml").write_text(EXPERIMENT, encoding="utf-8")
    (folder / "mapping.toml").write_text(MAPPING, encoding="utf-8")
    write_log(folder / "shop.jsonl", [row()])
    for role in Role:
        write_key_pair(SigningKey.generate(role, "test"), folder / f"{role.value}.key")
    (folder / "trusted").write_text("".join(each.read_text() for each in folder.glob("*.pub")), encoding="utf-8")
    return folder


def variables(folder: Path, command: Command, **changes: str) -> dict[str, str]:
    role = "learner" if command.line.startswith("learn") else "governance"
    return {
        "TRIMTAB_DATA_DIR": str(folder / "var"),
        "TRIMTAB_KAFKA_BOOTSTRAP": "127.0.0.1:1",
        "TRIMTAB_REDIS_URL": "redis://127.0.0.1:1/0",
        "TRIMTAB_SIGNING_KEY": f"@{folder / f'{role}.key'}",
        "TRIMTAB_TRUSTED_KEYS": f"@{folder / 'trusted'}",
        **command.more,
        **changes,
    }


def run_those_that_need(folder: Path, needed: str, **changes: str) -> dict[str, Ended]:
    concerned = [command for command in COMMANDS if needed in command.needs]
    return run_all({c.line: Call(tuple(c.line.split()), variables(folder, c, **changes), folder) for c in concerned})


def assert_told(outcomes: dict[str, Ended], words: str) -> None:
    """Each ended as failed, with an error of these words (a pattern) and a fix, and nothing that a reader of code
    would have to look at."""
    assert outcomes
    wrong = {}
    for line, ended in outcomes.items():
        error, fix = ([*ended.last_words, "", ""])[:2]
        told = re.match(f"error: .*{words}", error) is not None and fix.startswith("fix: ")
        if ended.code not in (1, 3) or not told or "Traceback" in ended.errors:
            wrong[line] = (ended.code, ended.errors[-600:])
    assert not wrong, wrong


def test_an_absent_broker_is_named_soon(desk: Path) -> None:
    outcomes = run_those_that_need(desk, KAFKA, TRIMTAB_KAFKA_BOOTSTRAP=f"127.0.0.1:{free_port()}")
    assert_told(outcomes, r"Kafka at 127\.0\.0\.1:\d+ does not answer")
    assert {line: ended.waited for line, ended in outcomes.items() if ended.waited > SAID_WITHIN} == {}


@pytest.fixture(scope="module")
def operator(secured_kafka: SecuredBroker) -> Iterator[dict[str, str]]:
    """The variables of a user of the secured broker who may do nothing, with topics that are there."""
    create_topics(secured_kafka.client_config(ADMIN), "errors.", 1, 1)
    yield {**secured_kafka.environment("nobody"), "TRIMTAB_TOPIC_PREFIX": "errors."}
    secured_kafka.revoke_all("nobody")


def test_a_certificate_that_is_not_trusted_is_named(desk: Path, operator: dict[str, str]) -> None:
    stranger = write_certificates(desk, "stranger").authority
    outcomes = run_those_that_need(desk, KAFKA, **{**operator, "TRIMTAB_KAFKA_SSL_CA_LOCATION": str(stranger)})
    assert_told(outcomes, "TLS fails: .*certificate verify failed")


def test_a_wrong_password_is_named(desk: Path, operator: dict[str, str]) -> None:
    outcomes = run_those_that_need(desk, KAFKA, **{**operator, "TRIMTAB_KAFKA_SASL_PASSWORD": "xyzzy"})
    assert_told(outcomes, "refuses user 'nobody'")
    assert not any("xyzzy" in ended.errors for ended in outcomes.values())


def test_a_missing_right_is_named_with_what_it_is_on(desk: Path, operator: dict[str, str]) -> None:
    outcomes = run_those_that_need(desk, KAFKA, **operator)
    assert_told(outcomes, r"Kafka user 'nobody' may not \w+ topic errors\.")


def test_a_listener_of_another_protocol_is_named(desk: Path, operator: dict[str, str]) -> None:
    plain = {**operator, "TRIMTAB_KAFKA_SECURITY_PROTOCOL": "PLAINTEXT"}
    for name in [name for name in plain if "SASL" in name or "SSL" in name]:
        del plain[name]
    assert_told(run_those_that_need(desk, KAFKA, **plain), "which speaks PLAINTEXT")


def test_an_authority_that_is_no_certificate_is_named(desk: Path, operator: dict[str, str]) -> None:
    (desk / "junk.pem").write_text("junk", encoding="utf-8")
    changes = {**operator, "TRIMTAB_KAFKA_SSL_CA_LOCATION": str(desk / "junk.pem")}
    assert_told(run_those_that_need(desk, KAFKA, **changes), "the Kafka client refuses its settings")


def test_a_serving_node_goes_on_and_says_why_its_events_wait(desk: Path, operator: dict[str, str]) -> None:
    stranger = write_certificates(desk, "stranger").authority
    expected = {
        "does not answer (Write events)": {"TRIMTAB_KAFKA_BOOTSTRAP": f"127.0.0.1:{free_port()}"},
        "TLS fails": {**operator, "TRIMTAB_KAFKA_SSL_CA_LOCATION": str(stranger)},
        "refuses user 'nobody'": {**operator, "TRIMTAB_KAFKA_SASL_PASSWORD": "xyzzy"},
        "which speaks PLAINTEXT": {"TRIMTAB_KAFKA_BOOTSTRAP": operator["TRIMTAB_KAFKA_BOOTSTRAP"]},
    }
    serve = next(command for command in COMMANDS if command.line.startswith("serve"))
    nodes = {
        words: subprocess.Popen(
            [sys.executable, "-m", "trimtab", *serve.line.split(), "--node-id", f"n{number}"],
            env={**os.environ, **variables(desk, serve, **changes)},
            cwd=desk,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number, (words, changes) in enumerate(expected.items())
    }
    try:
        for words, node in nodes.items():
            assert node.stderr is not None
            told = next(line for line in node.stderr if "no broker accepts events" in line)
            assert words in told
            node.terminate()
            _, rest = node.communicate(timeout=60)
            assert (node.returncode, "Traceback" in rest, "xyzzy" in told + rest) == (0, False, False)
    finally:
        for node in nodes.values():
            node.kill()


def test_absent_topics_are_named_with_the_command_that_makes_them(desk: Path, kafka: KafkaBroker) -> None:
    there = {"TRIMTAB_KAFKA_BOOTSTRAP": kafka.bootstrap, "TRIMTAB_TOPIC_PREFIX": "absent."}
    readers = [c for c in COMMANDS if KAFKA in c.needs and c.line != "topics create"]
    outcomes = run_all({c.line: Call(tuple(c.line.split()), variables(desk, c, **there), desk) for c in readers})
    assert_told(outcomes, r"topic absent\.[a-z-]+ does not exist")
    assert [line for line, ended in outcomes.items() if "trimtab topics create" not in ended.last_words[1]] == []


def test_metrics_without_their_directory_are_named_before_anything_is_done(desk: Path, tmp_path: Path) -> None:
    absent = str(tmp_path / "absent")
    outcomes = run_those_that_need(desk, METRICS, PROMETHEUS_MULTIPROC_DIR=absent)
    assert_told(outcomes, f"PROMETHEUS_MULTIPROC_DIR = {absent}: No such file")


def test_an_absent_redis_is_named(desk: Path) -> None:
    assert_told(run_those_that_need(desk, REDIS), r"Redis at redis://127\.0\.0\.1:1/0 does not answer")


def test_what_redis_refuses_is_named(desk: Path, redis_url: str, tmp_path: Path) -> None:
    admin = redis.Redis.from_url(redis_url)
    admin.acl_setuser("stranger", enabled=True, passwords=["+plugh"])
    as_stranger = redis_url.replace("redis://", "redis://stranger:{}@")
    wrong = run_those_that_need(desk, REDIS, TRIMTAB_REDIS_URL=as_stranger.format("xyzzy"))
    assert_told(wrong, "Redis at .* refuses user 'stranger'")
    assert not any("xyzzy" in ended.errors for ended in wrong.values())
    missing = run_those_that_need(desk, REDIS, TRIMTAB_REDIS_URL=as_stranger.format("plugh"))
    assert_told(missing, "Redis user 'stranger' at .* may not do this")
    admin.acl_deluser("stranger")
    admin.close()
    ours, other = write_certificates(tmp_path), write_certificates(tmp_path, "other")
    front = TcpForwarder(ours.server)
    front.open(redis_url.removeprefix("redis://").removesuffix("/0"))
    url = f"rediss://{front.address}/0?ssl_ca_certs={other.authority}"
    assert_told(run_those_that_need(desk, REDIS, TRIMTAB_REDIS_URL=url), "Redis at .* TLS fails")
    front.close()


def test_a_registry_in_trouble_is_named(desk: Path, kafka: KafkaBroker) -> None:
    there = {"TRIMTAB_KAFKA_BOOTSTRAP": kafka.bootstrap, "TRIMTAB_TOPIC_PREFIX": "errors."}
    create_topics({"bootstrap.servers": kafka.bootstrap}, "errors.", 1, 1)
    producer = Producer({"bootstrap.servers": kafka.bootstrap})
    producer.produce("errors.dead-letters", b"a letter to show")
    assert producer.flush(20) == 0
    nowhere = f"http://127.0.0.1:{free_port()}"
    assert_told(
        run_those_that_need(desk, REGISTRY, TRIMTAB_SCHEMA_REGISTRY_URL=nowhere, **there),
        f"Schema Registry at {nowhere} does not answer",
    )
    for status, words in ((401, "refuses user 'ada'"), (403, "user 'ada' of the Schema Registry .* may not")):
        with refusing_front(lambda *_, status=status: status) as address:
            refused = run_those_that_need(
                desk, REGISTRY, TRIMTAB_SCHEMA_REGISTRY_URL=f"http://ada:xyzzy@{address}", **there
            )
        assert_told(refused, words)
        assert not any("xyzzy" in ended.errors for ended in refused.values())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"TRIMTAB_KAFKA_BOOTSTRP": "127.0.0.1:9092"}, "TRIMTAB_KAFKA_BOOTSTRP"),
        ({"TRIMTAB_KAFKA_SECURITY_PROTOCOL": "TLS"}, "TRIMTAB_KAFKA_SECURITY_PROTOCOL"),
        ({"TRIMTAB_KAFKA_SASL_PASSWORD": "xyzzy"}, "TRIMTAB_KAFKA_S"),
        ({"TRIMTAB_KAFKA_SSL_CA_LOCATION": "/no/such/file", "TRIMTAB_KAFKA_SECURITY_PROTOCOL": "SSL"}, "/no/such/file"),
    ],
    ids=["misspelt", "no protocol", "credentials without protocol", "no file"],
)
def test_a_bad_setting_is_named(desk: Path, changes: dict[str, str], words: str) -> None:
    assert_told(run_those_that_need(desk, SETTINGS, **changes), words)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read"),
        (b"\xff\xfe\x00", "is not TOML"),
        (b"[experiment", "is not TOML"),
        (b"[experiment]\nname = 5\n", "experiment.name = 5"),
    ],
    ids=["absent", "bytes", "cut", "wrong"],
)
def test_a_broken_experiment_file_is_named(desk: Path, tmp_path: Path, content: bytes | None, words: str) -> None:
    file = tmp_path / "broken.toml"
    if content is not None:
        file.write_bytes(content)
    concerned = [command for command in COMMANDS if EXPERIMENT_FILE in command.needs]
    calls = {
        c.line: Call(tuple(c.line.split()), {**variables(desk, c), "TRIMTAB_EXPERIMENT": str(file)}, desk)
        for c in concerned
    }
    assert_told(run_all(calls), f"{file}: .*{words}")


def test_a_data_directory_that_cannot_be_is_named(desk: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    outcomes = run_those_that_need(desk, WRITES, TRIMTAB_DATA_DIR=str(tmp_path / "file"))
    assert_told(outcomes, str(tmp_path / "file"))


LEARNER = "machine/learner/upgrade"
DAMAGED = [
    ("evaluate --policy uniform --all", f"{LEARNER}/examples/00000000.parquet"),
    ("evaluate --policy uniform --all", f"{LEARNER}/examples/manifest.json"),
    ("evidence", f"{LEARNER}/examples/00000000.parquet"),
    ("evaluate --policy learned --all", f"{LEARNER}/checkpoints/20261128T185421927Z-5d9c88e3/manifest.json"),
    ("evaluate --policy learned --all", f"{LEARNER}/checkpoints/20261128T185421927Z-5d9c88e3/policy.onnx"),
    ("report", f"{LEARNER}/checkpoints/20261128T185421927Z-5d9c88e3/policy.onnx"),
    ("report", f"{LEARNER}/examples/manifest.json"),
    ("learn --once", f"{LEARNER}/examples/00000000.parquet"),
    ("replay shop.jsonl --mapping mapping.toml", "mapping.toml"),
    ("policy status", "trusted"),
    ("policy kill", "governance.key"),
]


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def junk(file: Path) -> None:
    file.write_bytes(b"\xff\x00junk" * 20)


@pytest.mark.parametrize("damage", [cut, empty, junk])
def test_a_damaged_file_is_named(tmp_path: Path, desk: Path, damage: Callable[[Path], None]) -> None:
    calls, files = {}, {}
    for place, (line, name) in enumerate(DAMAGED):
        number = str(place)
        folder = tmp_path / number
        shutil.copytree(desk, folder)
        shutil.copytree(FROZEN, folder, dirs_exist_ok=True)
        damage(folder / name)
        command = next(each for each in COMMANDS if each.line.split()[0] == line.split()[0])
        changes = {"TRIMTAB_DATA_DIR": str(folder / "machine"), **command.more}
        calls[number] = Call(tuple(line.split()), variables(folder, command, **changes), folder)
        files[number] = Path(name)
    for number, ended in run_all(calls).items():
        assert_told({f"{files[number]}": ended}, f"({re.escape(files[number].name)}|{files[number].parent.name})")
