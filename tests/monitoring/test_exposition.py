"""A process's HTTP port over real HTTP: its metrics and its checks."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from prometheus_client import CollectorRegistry

from event_schemas.errors import SettingError
from monitoring.exposition import serve_metrics
from monitoring.metrics import JoinMetrics
from tests.components.free_port import free_port


def answer(port: int, path: str) -> tuple[int, str]:
    try:
        with urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as page:
            return page.status, page.read().decode()
    except HTTPError as refused:
        return refused.code, refused.read().decode()


def test_the_page_shows_what_was_counted() -> None:
    registry = CollectorRegistry()
    JoinMetrics(registry).events.labels(fate="joined").inc(3)
    port = free_port()
    stop = serve_metrics(port, registry)
    try:
        assert 'trimtab_join_events_total{fate="joined"} 3.0' in answer(port, "/metrics?name=all")[1]
        assert answer(port, "/") == answer(port, "/metrics")
        status, text = answer(port, "/healthz")
        assert (status, text) == (404, "known: /, /metrics\n")
        accept = Request(f"http://127.0.0.1:{port}/metrics", headers={"Accept": "application/openmetrics-text"})
        with urlopen(accept, timeout=5) as page:
            assert page.headers["Content-Type"].startswith("application/openmetrics-text")
    finally:
        stop()
    with pytest.raises(OSError, match="refused"):
        answer(port, "/metrics")


def test_a_check_answers_by_what_is_wrong_now() -> None:
    wrong: list[str] = []

    def check() -> Sequence[str]:
        return wrong

    port = free_port()
    stop = serve_metrics(port, CollectorRegistry(), checks={"/readyz": check})
    try:
        assert answer(port, "/readyz") == (200, '{"status": "ok"}\n')
        wrong.append("no partitions assigned yet")
        status, text = answer(port, "/readyz")
        assert status == 503
        assert json.loads(text) == {"status": "unavailable", "reasons": ["no partitions assigned yet"]}
    finally:
        stop()


def test_a_taken_port_is_named() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        with pytest.raises(SettingError, match=str(holder.getsockname()[1])):
            serve_metrics(holder.getsockname()[1], CollectorRegistry())


@pytest.mark.parametrize("address", [("no.such.host.invalid", 80), ("127.0.0.1", 70_000)])
def test_an_address_that_cannot_be_is_an_error_with_a_fix(address: tuple[str, int]) -> None:
    with pytest.raises(SettingError, match="cannot be opened"):
        serve_metrics(address[1], CollectorRegistry(), address[0])
