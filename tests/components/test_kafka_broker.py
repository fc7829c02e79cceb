"""A broker that cannot start says why in its log, which the error quotes."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.components.kafka_broker import KafkaBroker


def test_a_broker_that_cannot_start_says_why(tmp_path: Path) -> None:
    broker = KafkaBroker(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", broker._controller_port))
        taken.listen()
        with pytest.raises(RuntimeError, match=r"(?s)ended during start-up:.*Address already in use"):
            broker.start()
