"""What a released version left behind, kept under `data/<version>/`: later versions must be able to go on from it.

trimtab.toml      the experiment file
keys/             signing keys made for this set, and nothing else
topics/           each topic's records in offset order, as gzipped lines of JSON
groups.json       consumer group → topic → partition → committed offset and text
machine/          the data directory: segments and checkpoints of the learner, snapshot and spool of a node
redis.rdb         the policy store
facts.json        what was true when it was written: counts, versions, who wrote it
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import OffsetAndMetadata
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from event_schemas.log_record import LogRecord
from event_schemas.topics import TOPICS
from stream_processors.audit.log_reader import LogReader

DATA = Path(__file__).parent / "data"
SOURCE_TOPIC = "actions"
"""A topic of the company's own, which the bridge reads; its full name begins with the set's prefix."""


@dataclass(frozen=True, slots=True)
class FrozenSet:
    """The set of one version; `prefix` is that of its topics."""

    version: str

    @property
    def folder(self) -> Path:
        return DATA / self.version

    @property
    def prefix(self) -> str:
        return f"frozen-{self.version}."

    @property
    def experiment_file(self) -> Path:
        return self.folder / "trimtab.toml"

    @property
    def facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = json.loads((self.folder / "facts.json").read_text(encoding="utf-8"))
        return facts

    @property
    def topics(self) -> tuple[str, ...]:
        """Full names of the topics that its version has, and of the bridge's source; all before it is written."""
        names = [*(f"{self.prefix}{topic.name}" for topic in TOPICS), f"{self.prefix}{SOURCE_TOPIC}"]
        written = self.facts["partitions"] if (self.folder / "facts.json").exists() else names
        return tuple(name for name in names if name in written)

    @property
    def groups(self) -> tuple[str, ...]:
        """The consumer groups that commit."""
        return (f"{self.prefix}join", f"{self.prefix}bridge")

    def key(self, name: str) -> str:
        """A setting that names the signing key in `keys/<name>`."""
        return f"@{self.folder / 'keys' / name}"

    def trusted_keys(self) -> str:
        """Both public keys, as TRIMTAB_TRUSTED_KEYS takes them."""
        return ",".join(path.read_text(encoding="utf-8").strip() for path in sorted(self.folder.glob("keys/*.pub")))

    def environment(self, bootstrap: str, redis_url: str, data_dir: Path) -> dict[str, str]:
        """The variables of a process that works on the restored set."""
        return {
            "TRIMTAB_KAFKA_BOOTSTRAP": bootstrap,
            "TRIMTAB_TOPIC_PREFIX": self.prefix,
            "TRIMTAB_REDIS_URL": redis_url,
            "TRIMTAB_EXPERIMENT": str(self.experiment_file),
            "TRIMTAB_DATA_DIR": str(data_dir),
            "TRIMTAB_SIGNING_KEY": self.key("learner"),
            "TRIMTAB_TRUSTED_KEYS": self.trusted_keys(),
        }

    def save_topics(self, bootstrap: str) -> dict[str, int]:
        """Write every record of the topics to files; how many there are in each."""
        counts = {}
        for topic in self.topics:
            records = list(LogReader({"bootstrap.servers": bootstrap}, topic).read_all())
            counts[topic] = len(records)
            with gzip.GzipFile(self._file(topic), "wb", mtime=0) as sink:
                for record in records:
                    sink.write(json.dumps(_row(record)).encode() + b"\n")
        return counts

    def save_groups(self, bootstrap: str) -> None:
        """Write what the groups have committed."""
        found = {group: asyncio.run(_committed(bootstrap, group)) for group in self.groups}
        (self.folder / "groups.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")

    def restore_machine(self, directory: Path) -> Path:
        """A copy of the data directory."""
        return Path(shutil.copytree(self.folder / "machine", directory / "machine"))

    def restore_topics(self, bootstrap: str) -> None:
        """Make the topics anew, every record at its offset with its append time, and commit what the groups had."""
        rows = {topic: list(self._rows(topic)) for topic in self.topics}
        admin = AdminClient({"bootstrap.servers": bootstrap})
        # The broker's own append time would be now; history keeps the times it had, and is not deleted for them.
        config = {"message.timestamp.type": "CreateTime", "retention.ms": "-1", "max.message.bytes": "4194304"}
        partitions = self.facts["partitions"]
        made = admin.create_topics([NewTopic(topic, partitions[topic], 1, config=config) for topic in self.topics])
        for answer in made.values():
            answer.result()
        _write(bootstrap, rows)
        for group, topics in json.loads((self.folder / "groups.json").read_text(encoding="utf-8")).items():
            asyncio.run(_commit(bootstrap, group, topics))

    def _file(self, topic: str) -> Path:
        return self.folder / "topics" / f"{topic.removeprefix(self.prefix)}.jsonl.gz"

    def _rows(self, topic: str) -> Iterator[dict[str, Any]]:
        with gzip.open(self._file(topic), "rt", encoding="utf-8") as source:
            for line in source:
                yield json.loads(line)


def frozen_sets() -> list[FrozenSet]:
    """Every set that is kept, oldest first."""
    return [FrozenSet(path.name) for path in sorted(DATA.iterdir()) if path.is_dir()]


def _row(record: LogRecord) -> dict[str, Any]:
    return {
        "partition": record.partition,
        "time": record.append_time,
        "key": None if record.key is None else base64.b64encode(record.key).decode(),
        "value": None if record.value is None else base64.b64encode(record.value).decode(),
    }


def _write(bootstrap: str, rows: Mapping[str, list[dict[str, Any]]]) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "message.max.bytes": 4_194_304})
    for topic, records in rows.items():
        for row in records:
            key, value = (None if row[part] is None else base64.b64decode(row[part]) for part in ("key", "value"))
            producer.produce(topic, value, key, row["partition"], timestamp=row["time"])
            producer.poll(0)
    assert producer.flush(30) == 0


async def _committed(bootstrap: str, group: str) -> dict[str, dict[str, list[Any]]]:
    """Topic → partition → offset and text, whole: librdkafka would end a text at its first NUL."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        answers = await admin.list_consumer_group_offsets(group)
    finally:
        await admin.close()
    found: dict[str, dict[str, list[Any]]] = {}
    for place, committed in sorted(answers.items()):
        found.setdefault(place.topic, {})[str(place.partition)] = [committed.offset, committed.metadata]
    return found


async def _commit(bootstrap: str, group: str, topics: Mapping[str, Mapping[str, list[Any]]]) -> None:
    offsets = {
        TopicPartition(topic, int(number)): OffsetAndMetadata(offset, text)
        for topic, partitions in topics.items()
        for number, (offset, text) in partitions.items()
    }
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign(list(offsets))
        await consumer.commit(offsets)
    finally:
        await consumer.stop()
