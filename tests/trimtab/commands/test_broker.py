"""`trimtab broker`: prints the environment, runs until told to stop."""

import json
import signal
import subprocess
import sys

import pytest
from confluent_kafka import Producer


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_runs_until_a_signal_and_ends_cleanly(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "trimtab", "broker", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        variables = json.loads(process.stdout.readline())
        names = {"TRIMTAB_KAFKA_BOOTSTRAP", "TRIMTAB_KAFKA_IDENTITY", "TRIMTAB_REDIS_URL"}
        client = Producer({"bootstrap.servers": variables["TRIMTAB_KAFKA_BOOTSTRAP"]})
        assert client.list_topics(timeout=10).brokers
        process.send_signal(number)
        assert process.wait(20) == 0
        assert set(variables) == names


def test_without_json_it_prints_lines_to_source() -> None:
    command = [sys.executable, "-m", "trimtab", "broker"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
        process.send_signal(signal.SIGTERM)
    assert lines[0].startswith("export TRIMTAB_KAFKA_BOOTSTRAP=127.0.0.1:")
    assert lines[1].startswith("export TRIMTAB_KAFKA_IDENTITY=embedded-")
    assert lines[2].startswith("export TRIMTAB_REDIS_URL=redis://127.0.0.1:")
