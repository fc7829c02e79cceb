"""Addresses that redis-py would misread are refused, with what is wrong."""

from __future__ import annotations

import pytest

from policy_store.backends.redis_address import require_redis_address


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1:6379/0",
        "redis://localhost",
        "redis://ada:word@[::1]:6379/15",
        "redis://:w%C3%B6rd@redis:6379",
        "rediss://redis:6380/0?ssl_ca_certs=/etc/ca.pem&ssl_check_hostname=true",
        "redis://redis/?db=2&client_name=n1",
        "unix:///run/redis.sock?db=1",
    ],
)
def test_sound_addresses(url: str) -> None:
    require_redis_address(url)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "must begin with"),
        ("localhost:6379", "must begin with"),
        ("http://localhost", "must begin with"),
        ("redis://", "no host"),
        ("redis://host:0/0", "port is 0"),
        ("redis://host:port/0", "Port could not be cast"),
        ("redis://host:99999/0", "Port out of range"),
        ("redis://host/abc", "not a database number"),
        ("redis://host/0/1", "not a database number"),
        ("redis://host/0?db=two", "db='two' is not a number"),
        ("redis://host/0?retry_attempts=3", "no option retry_attempts"),
        ("redis://host/0?decode_responses=True", "no option decode_responses"),
        ("redis://host/0?protocol=7", "no option protocol"),
        ("redis://host/0?ssl_ca_certs=/etc/ca.pem", "is only for rediss://"),
        ("rediss://host/0?ssl_cert_reqs=maybe", "not one of required, optional, none"),
        ("unix://", "path of the socket"),
    ],
)
def test_addresses_that_would_be_misread(url: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        require_redis_address(url)
