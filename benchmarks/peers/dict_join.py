"""The job in plain Python: one process with a dict and a heap; nothing is durable, no offsets are committed."""

from __future__ import annotations

import gc

from confluent_kafka import Producer

from benchmarks.peers.attribution_job import PARTITIONS, Job, encode_example
from benchmarks.peers.open_decisions import OpenDecisions
from benchmarks.peers.raw_consume import event_consumer

BATCH, WAIT_SECONDS = 2_000, 0.1


def main() -> None:
    gc.disable()  # records are never in cycles, and searching the open ones for cycles takes half of the time
    job = Job.from_environment()
    consumer = event_consumer(job)
    producer = Producer(
        {
            "bootstrap.servers": job.bootstrap,
            "linger.ms": 20,
            "partitioner": "murmur2_random",
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    partitions = [OpenDecisions(partition) for partition in range(PARTITIONS)]
    begun = False
    while True:
        # Reads the first message alone: the clock must start before a whole batch has been fetched.
        messages = consumer.consume(BATCH if begun else 1, WAIT_SECONDS)
        if messages and not begun:
            begun = True
            job.started()
        for message in messages:
            partition, offset, value = message.partition(), message.offset(), message.value()
            assert partition is not None and offset is not None and value is not None
            partitions[partition].take(value, offset)
        for decisions in partitions:
            for request_id, example in decisions.closed():
                producer.produce(job.output_topic, encode_example(example), request_id)
        producer.poll(0)


if __name__ == "__main__":
    main()
