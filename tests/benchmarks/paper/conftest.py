"""One small replication for all tests of the paper's findings."""

from dataclasses import replace

import pytest

from benchmarks.paper.paper_sizes import REDUCED, PaperSizes
from benchmarks.paper.replication import Replication, replicated


@pytest.fixture(scope="session")
def tiny_sizes() -> PaperSizes:
    """The network trains faster on so few rows than a ridge regression chooses its penalties."""
    return replace(REDUCED, learner="q_network", requests=900, users=60, known=50, online=400, online_plans=1)


@pytest.fixture(scope="session")
def replication(tiny_sizes: PaperSizes) -> Replication:
    return replicated(1, tiny_sizes)
