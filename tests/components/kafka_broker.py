"""The tests use the same Kafka broker as the benchmarks."""

from __future__ import annotations

from benchmarks.kafka_broker import ComponentMissing, KafkaBroker

__all__ = ["ComponentMissing", "KafkaBroker"]
