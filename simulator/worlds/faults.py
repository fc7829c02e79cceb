"""What goes wrong in a simulated log, or changes in its world, on demand.

The faults of the feed change what is logged and never what users do, so the true values stay. A drift changes the
world, and the true values with it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Self

from event_schemas.errors import SettingError
from simulator.worlds.world_shape import HEADS, KINDS

LARGEST_FACTOR = 100
EVERY = "all"


@dataclass(frozen=True)
class Faults:
    """Each field is 0, or 1 for a factor, when nothing is wrong; days count from the start of the run.

    `delay` multiplies the delay of engagements. `missing` and `duplicates` are shares of the engagements that are never
    logged, and logged twice. From `dead_from` to `dead_until` no engagement of `dead_kind` (all: every kind) is logged.
    From `drift_from` on the ranker's head `drift_head` (all: every head) predicts `drift_heads` times as much, and
    users lean `drift_taste` logits more to shopping.
    """

    delay: float = 1.0
    missing: float = 0.0
    duplicates: float = 0.01
    dead_from: float = 0.0
    dead_until: float = 0.0
    dead_kind: str = EVERY
    drift_from: float = 0.0
    drift_head: str = "p2p"
    drift_heads: float = 1.0
    drift_taste: float = 0.0

    @property
    def head_factors(self) -> tuple[float, ...]:
        """How many times as much each head predicts after the drift, in the order of HEADS."""
        return tuple(self.drift_heads if self.drift_head in (EVERY, head) else 1.0 for head in HEADS)

    @property
    def drifts(self) -> bool:
        """Whether the world changes."""
        return self.drift_heads != 1.0 or self.drift_taste != 0.0

    @classmethod
    def parse(cls, settings: list[str]) -> Self:
        """The faults of `name=value` texts; raises SettingError."""
        known = {each.name: each.default for each in fields(cls)}
        found = cls()
        for setting in settings:
            name, _, value = setting.partition("=")
            if name not in known:
                raise SettingError(f"--fault {setting!r} names no fault", fix=f"use one of {', '.join(known)}")
            change: dict[str, Any] = {name: _value(setting, value, isinstance(known[name], str))}
            found = replace(found, **change)
        return found._checked()

    def _checked(self) -> Self:
        for name in ("missing", "duplicates"):
            if not 0 <= getattr(self, name) <= 1:
                raise SettingError(f"--fault {name}={getattr(self, name):g} is not a share", fix="give 0 to 1")
        for name in ("delay", "drift_heads"):
            if not 0 < getattr(self, name) <= LARGEST_FACTOR:
                raise SettingError(
                    f"--fault {name}={getattr(self, name):g} is no factor",
                    fix=f"give more than 0, up to {LARGEST_FACTOR}",
                )
        for name, known, what in (
            ("dead_kind", KINDS, "kind of engagement"),
            ("drift_head", HEADS, "head of the ranker"),
        ):
            if getattr(self, name) not in (EVERY, *known):
                raise SettingError(
                    f"--fault {name}={getattr(self, name)} is no {what}", fix=f"use {EVERY}, {', '.join(known)}"
                )
        return self


def _value(setting: str, value: str, is_text: bool) -> float | str:
    if is_text:
        return value
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if not abs(number) < float("inf"):
        raise SettingError(f"--fault {setting!r} has no number", fix="write it as name=number, for example missing=0.2")
    return number
