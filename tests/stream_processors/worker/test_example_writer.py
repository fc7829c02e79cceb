"""The writer confirms what the broker stored, turns refusals into dead letters and ends on anything else."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public, but re-exported without __all__
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    ResourceType,
)

from event_schemas.codec import Codec
from event_schemas.dead_letter import left_out
from event_schemas.registry import Registry
from stream_processors.audit.log_reader import LogReader
from stream_processors.partition.partition_join import Emission
from stream_processors.rule.fates import Fate
from stream_processors.worker.example_writer import ExampleWriter, OutputUnconfirmed
from stream_processors.worker.worker_settings import WorkerSettings
from tests.components.free_port import free_port
from tests.components.kafka_broker import KafkaBroker
from tests.conftest import TopicFactory

CODEC = Codec(Registry.bundled())


def _settings(bootstrap: str, prefix: str, **changes: float) -> WorkerSettings:
    paces = {"records_in_flight": 50, "delivery_seconds": 20.0, **changes}
    return WorkerSettings(
        client_config={"bootstrap.servers": bootstrap},
        events=f"{prefix}events",
        examples=f"{prefix}examples",
        dead_letters=f"{prefix}dead-letters",
        group=f"{prefix}join",
        live=False,
        producer_delay_ms=0,
        records_in_flight=int(paces["records_in_flight"]),
        delivery_seconds=paces["delivery_seconds"],
    )


def _note(confirmed: list[Any], name: Any, count: int) -> None:
    confirmed += [name] * count


def _letter(size: int, offset: int) -> Emission:
    return Emission("dead_letter", b"r", bytes([offset]) * size, offset, Fate.ORPHAN)


def _example(request_id: str, value: bytes, offset: int = 0) -> Emission:
    return Emission("example", request_id.encode(), value, offset, None)


def test_every_record_lands_in_its_partition_and_is_confirmed_once(kafka: KafkaBroker, topics: TopicFactory) -> None:
    settings = _settings(kafka.bootstrap, topics(3))
    confirmed: list[int] = []

    async def write() -> bool:
        writer = ExampleWriter(settings, CODEC)
        for number in range(300):
            if writer.full:
                await writer.wait_for_room()
            writer.write(number % 3, [_example(f"r{number}", b"x" * 100)], partial(_note, confirmed, number))
        drained = await writer.drain(20)
        writer.close()
        return drained

    assert asyncio.run(write())
    assert sorted(confirmed) == list(range(300))
    written = list(LogReader(settings.client_config, settings.examples).read_all())
    assert sorted(record.key or b"" for record in written) == sorted(f"r{n}".encode() for n in range(300))
    assert all(int((record.key or b"")[1:]) % 3 == record.partition for record in written)


def test_a_refused_example_becomes_a_dead_letter_and_is_confirmed(kafka: KafkaBroker, topics: TopicFactory) -> None:
    settings = _settings(kafka.bootstrap, topics(1))
    _limit_messages(kafka, settings.examples, 1_000)
    confirmed: list[str] = []

    async def write() -> None:
        writer = ExampleWriter(settings, CODEC)
        writer.write(0, [_example("small", b"s" * 100, 3)], partial(_note, confirmed, "small"))
        assert await writer.drain(20)
        writer.write(0, [_example("large", b"l" * 5_000, 4)], partial(_note, confirmed, "large"))
        assert await writer.drain(20), writer.failure
        writer.close()

    asyncio.run(write())
    assert confirmed == ["small", "large"]
    (letter,) = LogReader(settings.client_config, settings.dead_letters).read_all()
    content = CODEC.decode(letter.value).record
    assert content["reason"] == "too_large"
    assert (content["request_id"], content["partition"], content["offset"]) == ("large", 0, 4)
    assert content["value"] is None
    assert content["detail"].endswith(left_out("example", b"l" * 5_000))


def test_a_refused_batch_costs_only_the_record_that_is_too_large(kafka: KafkaBroker, topics: TopicFactory) -> None:
    settings = _settings(kafka.bootstrap, topics(1))
    _limit_messages(kafka, settings.examples, 1_000)
    confirmed: list[int] = []

    async def write() -> None:
        writer = ExampleWriter(settings, CODEC)
        sizes = [100, 100, 5_000, 100]
        examples = [_example(f"r{place}", b"x" * size, place) for place, size in enumerate(sizes)]
        writer.write(0, examples, confirmed.append)
        assert await writer.drain(20), writer.failure
        writer.close()

    asyncio.run(write())
    assert sum(confirmed) == 4
    (letter,) = LogReader(settings.client_config, settings.dead_letters).read_all()
    assert CODEC.decode(letter.value).record["offset"] == 2
    written = LogReader(settings.client_config, settings.examples).read_all()
    assert sorted(record.key or b"" for record in written) == [b"r0", b"r1", b"r3"]


def test_dead_letters_that_fit_alone_survive_a_refused_batch(kafka: KafkaBroker, topics: TopicFactory) -> None:
    settings = _settings(kafka.bootstrap, topics(1))
    _limit_messages(kafka, settings.dead_letters, 1_000)
    confirmed: list[int] = []

    async def write(letters: list[Emission]) -> OutputUnconfirmed | None:
        writer = ExampleWriter(settings, CODEC)
        writer.write(0, letters, confirmed.append)
        await writer.drain(20)
        writer.close()
        return writer.failure

    assert asyncio.run(write([_letter(700, place) for place in range(4)])) is None
    assert sum(confirmed) == 4
    assert len(list(LogReader(settings.client_config, settings.dead_letters).read_all())) == 4
    failure = asyncio.run(write([_letter(5_000, 4)]))
    assert failure is not None
    assert settings.dead_letters in failure.what


def test_examples_and_dead_letters_go_to_their_topics(kafka: KafkaBroker, topics: TopicFactory) -> None:
    settings = _settings(kafka.bootstrap, topics(2))
    letter = Emission("dead_letter", b"r2", b"letter", 5, Fate.ORPHAN)
    confirmed: list[int] = []

    async def write() -> None:
        writer = ExampleWriter(settings, CODEC)
        writer.write(1, [_example("r1", b"one"), letter, _example("r3", b"three")], confirmed.append)
        assert await writer.drain(20)
        writer.close()

    asyncio.run(write())
    assert sum(confirmed) == 3
    examples = list(LogReader(settings.client_config, settings.examples).read_all())
    assert [(record.partition, record.value) for record in examples] == [(1, b"one"), (1, b"three")]
    letters = list(LogReader(settings.client_config, settings.dead_letters).read_all())
    assert [(record.partition, record.key, record.value) for record in letters] == [(1, b"r2", b"letter")]


def test_what_is_too_large_for_the_client_becomes_a_dead_letter_too(kafka: KafkaBroker, topics: TopicFactory) -> None:
    settings = _settings(kafka.bootstrap, topics(1))

    async def write() -> None:
        writer = ExampleWriter(settings, CODEC)
        writer.write(0, [_example("huge", bytes(9 * 1_048_576))], lambda _: None)
        assert await writer.drain(20)
        writer.close()

    asyncio.run(write())
    (letter,) = LogReader(settings.client_config, settings.dead_letters).read_all()
    assert CODEC.decode(letter.value).record["request_id"] == "huge"


def test_a_heartbeat_goes_to_the_events_with_a_null_key(kafka: KafkaBroker, topics: TopicFactory) -> None:
    settings = _settings(kafka.bootstrap, topics(2))

    async def write() -> None:
        writer = ExampleWriter(settings, CODEC)
        writer.write_heartbeat(1, 1_700_000_000_000)
        assert await writer.drain(20)
        writer.close()

    asyncio.run(write())
    (heartbeat,) = LogReader(settings.client_config, settings.events).read_all()
    assert (heartbeat.partition, heartbeat.key) == (1, None)
    assert CODEC.decode(heartbeat.value).record == {"event_time": 1_700_000_000_000}


def test_a_failure_that_trying_again_may_fix_is_final_here() -> None:
    settings = _settings(f"127.0.0.1:{free_port()}", "nowhere.", records_in_flight=1, delivery_seconds=0.5)
    confirmed: list[str] = []

    async def write() -> OutputUnconfirmed:
        writer = ExampleWriter(settings, CODEC)
        writer.write(0, [_example("r1", b"x")], partial(_note, confirmed, "r1"))
        with pytest.raises(OutputUnconfirmed) as caught:
            await asyncio.wait_for(writer.wait_for_room(), 20)
        assert not await writer.drain(1)
        writer.close()
        return caught.value

    failure = asyncio.run(write())
    assert confirmed == []
    assert "nowhere.examples" in failure.what
    assert "last commit" in failure.fix


def _limit_messages(kafka: KafkaBroker, topic: str, size: int) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    entry = ConfigEntry(
        "max.message.bytes",
        str(size),
        source=ConfigSource.DYNAMIC_TOPIC_CONFIG,
        incremental_operation=AlterConfigOpType.SET,
    )
    change = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    for answer in admin.incremental_alter_configs([change]).values():
        answer.result()
