"""No secret is shown, however odd the text it is in."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.secret_masking import MASK, masked_keys, masked_redis_address, masked_web_address

SECRET = st.text("s3cr:/@?#%&= ", min_size=6, max_size=12).map(lambda text: f"xyzzy{text}plugh")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        ("redis://:secret@redis/0", f"redis://:{MASK}@redis/0"),
        ("rediss://ada:secret@redis:6380/2?ssl_cert_reqs=none", f"rediss://ada:{MASK}@redis:6380/2?ssl_cert_reqs=none"),
        ("redis://secret@redis/0", f"redis://{MASK}@redis/0"),
        ("redis://redis/0?username=ada&password=secret", f"redis://redis/0?username=ada&password={MASK}"),
        ("unix://ada:secret@/run/redis.sock?db=1", f"unix://ada:{MASK}@/run/redis.sock?db=1"),
        ("redis://user:12#secret@redis", f"redis://{MASK}"),
        ("redis://:se/cret@redis/0", f"redis://{MASK}"),
        ("redis://redis/0?pass=secret", f"redis://{MASK}"),
        ("ada:secret@redis", MASK),
        ("", MASK),
    ],
)
def test_addresses_of_redis(url: str, shown: str) -> None:
    assert masked_redis_address(url) == shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://registry:8081", "http://registry:8081"),
        ("https://ada:secret@registry/v1?token=secret", f"https://ada:{MASK}@registry/v1?{MASK}"),
        ("https://secret@[::1]:8081", f"https://{MASK}@[::1]:8081"),
        ("https://ada:sec/ret@registry", f"https://{MASK}"),
        ("https://ada:12@3/ret@registry", f"https://{MASK}"),
        ("ftp://ada:secret@registry", f"ftp://{MASK}"),
    ],
)
def test_addresses_on_the_web(url: str, shown: str) -> None:
    assert masked_web_address(url) == shown


def test_keys_are_shown_by_name() -> None:
    assert masked_keys("learner/main=c2VjcmV0,governance/board=eHl6") == f"learner/main={MASK},governance/board={MASK}"
    assert masked_keys("@keys/trusted") == "@keys/trusted"
    assert masked_keys("c2VjcmV0") == MASK


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("WIfB3yB1secretWQ=", MASK),
        ("learner/a:c2VjcmV0cw==", MASK),
        ("learner/a=c2VjcmV0,c2VjcmV0cw==", f"learner/a={MASK},{MASK}"),
        ("learner/a=c2VjcmV0\ngovernance/b=c2VjcmV0", f"learner/a={MASK},governance/b={MASK}"),
    ],
)
def test_a_key_without_its_name_is_masked(text: str, shown: str) -> None:
    assert masked_keys(text) == shown


@given(SECRET)
def test_no_password_gets_through(secret: str) -> None:
    escaped = quote(secret, safe="")
    for form in (secret, escaped):
        for rest in (f"ada:{form}@host/0", f":{form}@host:6379", f"host/0?password={form}&db=3", f"ada:{form}@/run/x"):
            redis = [masked_redis_address(f"{scheme}://{rest}") for scheme in ("redis", "rediss", "unix")]
            shown = " ".join([*redis, masked_web_address(f"https://{rest}")])
            assert "xyzzy" not in shown and "plugh" not in shown
