"""One broker behind a forwarder for the chaos tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos.fragile_broker import FragileBroker
from tests.components.kafka_broker import ComponentMissing


@pytest.fixture(scope="session")
def fragile_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FragileBroker]:
    """A running broker that tests may stop or slow down; each test leaves it running."""
    try:
        with FragileBroker(tmp_path_factory.mktemp("fragile")) as broker:
            yield broker
    except ComponentMissing as missing:
        pytest.fail(str(missing), pytrace=False)
