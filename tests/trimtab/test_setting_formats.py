"""Settings that a client would accept but misread are refused, with their names."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_schemas.errors import SettingError
from trimtab.setting_formats import require_text, server_list, topic_beginning


@pytest.mark.parametrize(
    ("text", "servers"),
    [
        ("127.0.0.1:9092", "127.0.0.1:9092"),
        ("kafka-1:9092, kafka-2:9092", "kafka-1:9092,kafka-2:9092"),
        ("[::1]:9092", "[::1]:9092"),
        ("kafka,", "kafka"),
        ("broker.example.com:65535", "broker.example.com:65535"),
    ],
)
def test_servers(text: str, servers: str) -> None:
    assert server_list(text) == servers


@pytest.mark.parametrize(
    "text",
    [
        "",
        ",,,",
        "kafka:",
        ":9092",
        "kafka:0",
        "kafka:65536",
        "kafka:99999999",
        "http://kafka:9092",
        "a b:1",
    ],
)
def test_what_is_no_server_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="is not host:port"):
        server_list(text)


@pytest.mark.parametrize("text", ["", "trimtab.", "a-b_c.9", "x" * 200])
def test_prefixes(text: str) -> None:
    assert topic_beginning(text) == text


@pytest.mark.parametrize("text", ["a b.", "a/b", "ä.", "x" * 201, "a\n"])
def test_what_no_topic_begins_with(text: str) -> None:
    with pytest.raises(ValueError, match="a topic's name"):
        topic_beginning(text)


@given(st.binary(max_size=20))
def test_bytes_that_are_no_text_are_named(content: bytes) -> None:
    value = os.fsdecode(content)
    environment = {"TRIMTAB_TOPIC_PREFIX": value, "ELSEWHERE": "\udcff"}
    try:
        content.decode()
    except UnicodeDecodeError:
        with pytest.raises(SettingError, match="TRIMTAB_TOPIC_PREFIX is not valid UTF-8"):
            require_text(environment, "TRIMTAB_")
    else:
        require_text(environment, "TRIMTAB_")


def test_a_name_that_is_no_text_is_shown_as_it_can_be() -> None:
    with pytest.raises(SettingError, match=r"TRIMTAB_\\udcff"):
        require_text({"TRIMTAB_\udcff": "1"}, "TRIMTAB_")
