"""The upper bound: a plain consumer that reads every event, decoding it if `JOB_VARIANT=decode`. No join, no output."""

from __future__ import annotations

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from benchmarks.peers.attribution_job import PARTITIONS, Job, decode

BATCH, WAIT_SECONDS = 10_000, 0.1


def event_consumer(job: Job) -> Consumer:
    """A consumer at the beginning of all partitions, outside any group."""
    consumer = Consumer(
        {
            "bootstrap.servers": job.bootstrap,
            "group.id": job.group,
            "enable.auto.commit": False,
            "fetch.queue.backoff.ms": 10,
            "queued.max.messages.kbytes": 131_072,
        }
    )
    consumer.assign([TopicPartition(job.events_topic, partition, OFFSET_BEGINNING) for partition in range(PARTITIONS)])
    return consumer


def main() -> None:
    job = Job.from_environment()
    consumer, decoding, read = event_consumer(job), job.variant == "decode", 0
    while read < job.event_count:
        # Reads the first message alone: the clock must start before a whole batch has been fetched.
        messages = consumer.consume(BATCH if read else 1, WAIT_SECONDS)
        if messages and not read:
            job.started()
        for message in messages:
            value = message.value()
            if decoding:
                assert value is not None
                decode(value)
        read += len(messages)
    job.ended()
    consumer.close()


if __name__ == "__main__":
    main()
