"""One reading of the shipped code for all checks of its names."""

from __future__ import annotations

import pytest

from tests.contracts.shipped_code import ShippedCode, read_shipped_code


@pytest.fixture(scope="package")
def shipped_code() -> ShippedCode:
    """What the packages in the wheel define and use."""
    return read_shipped_code()
