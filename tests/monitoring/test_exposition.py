"""The `/metrics` page over real HTTP."""

from __future__ import annotations

import socket
from urllib.request import urlopen

import pytest
from prometheus_client import CollectorRegistry

from event_schemas.errors import SettingError
from monitoring.exposition import serve_metrics
from monitoring.metrics import JoinMetrics


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_the_page_shows_what_was_counted() -> None:
    registry = CollectorRegistry()
    JoinMetrics(registry).events.labels(fate="joined").inc(3)
    port = free_port()
    stop = serve_metrics(port, registry)
    page = urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).read().decode()
    stop()
    assert 'trimtab_join_events_total{fate="joined"} 3.0' in page


def test_a_taken_port_is_named() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        with pytest.raises(SettingError, match=str(holder.getsockname()[1])):
            serve_metrics(holder.getsockname()[1], CollectorRegistry())
