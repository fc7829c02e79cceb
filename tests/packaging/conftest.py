"""One wheel for all tests of this directory."""

from __future__ import annotations

import pytest

from tests.packaging.fresh_environment import FreshEnvironment, fresh_environment


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> FreshEnvironment:
    """The wheel, installed."""
    return fresh_environment(tmp_path_factory.mktemp("packaging"))
