"""The clock of a learner service in tests."""


class Ticks:
    """A clock that advances a second whenever it is read."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now
