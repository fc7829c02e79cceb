"""The broker of the tests is the one the benchmarks start."""

from __future__ import annotations

from benchmarks.kafka_broker import ComponentMissing, KafkaBroker

__all__ = ["ComponentMissing", "KafkaBroker"]
