"""What goes wrong, when and for how long: kill schedules as data, read from `schedules.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from event_schemas.errors import TrimtabError

SCHEDULES = Path(__file__).with_name("schedules.toml")

Fault = Literal["kill", "stop", "start", "freeze", "slow", "cut", "poison", "die_at_step", "fill_disk"]
"""What a step can do; `Step` says what each means."""

UNDOING = {"kill": "start", "stop": "start", "freeze": "thaw", "slow": "speed_up", "cut": "mend", "fill_disk": "empty"}
"""What ends a fault that has a duration."""

WITHOUT_ACTOR = frozenset({"slow", "cut", "poison"})
LEARNER_ONLY = frozenset({"die_at_step", "fill_disk"})


class ScheduleError(TrimtabError):
    """A schedule cannot be read, or contains a step that cannot be performed."""


class Part(BaseModel):
    """A table of the file: immutable, and unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Traffic(Part):
    """The traffic that producers send: a homefeed, the same for the same seed."""

    producers: int = Field(default=2, ge=1, le=8)
    rate: float = Field(default=60.0, gt=0, description="Decisions a second, of each producer.")
    seconds: float = Field(default=20.0, gt=0, description="How long new decisions come.")

    @property
    def decisions(self) -> int:
        """Number of decisions of each producer."""
        return round(self.rate * self.seconds)


class Step(Part):
    """One fault.

    `kill` (SIGKILL), `stop` (SIGTERM) and `freeze` (SIGSTOP) affect the process `whom` (`worker-1`, `producer-1`,
    `learner`, `broker`) for `lasting` seconds; then it is restarted or resumed. `start` starts an additional worker.
    `slow` and `cut` affect the network between clients and broker. `poison` sends broken events. `die_at_step` makes
    the learner kill itself after a step of its commit protocol; `fill_disk` fills its disk.
    """

    at: float = Field(ge=0, description="Seconds after the first traffic.")
    do: Fault
    whom: str = ""
    lasting: float | None = Field(default=None, gt=0, description="Seconds until it is undone; none: it stays.")
    latency: float = Field(default=0.0, ge=0, description="slow: seconds by which each block is late.")
    bytes_per_second: int = Field(default=0, ge=0, description="slow: bound of each connection; 0: none.")
    step: int = Field(default=0, ge=0, le=4, description="die_at_step: the step of the learner's commit protocol.")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.do in WITHOUT_ACTOR) == bool(self.whom):
            raise ValueError(f"{self.do!r} {'hits no single process' if self.whom else 'needs `whom`'}")
        if self.do in LEARNER_ONLY and self.whom != "learner":
            raise ValueError(f"{self.do!r} is for the learner, not {self.whom!r}")
        if self.do in {"freeze", "slow", "cut", "fill_disk"} and self.lasting is None:
            raise ValueError(f"{self.do!r} needs `lasting`, or it would never end")
        if self.do == "slow" and not (self.latency or self.bytes_per_second):
            raise ValueError("'slow' needs `latency` or `bytes_per_second`")
        if (self.do == "die_at_step") != bool(self.step):
            raise ValueError("`step` (1 to 4) belongs to 'die_at_step'")
        return self


@dataclass(frozen=True, slots=True)
class Action:
    """One action at one time. `undoes` is whether it ends its step's fault rather than beginning it."""

    at: float
    deed: str
    whom: str
    step: Step
    undoes: bool = False

    @property
    def lifts(self) -> bool:
        """Whether the fault is over after this action, so that the recovery time starts."""
        return self.undoes or self.step.lasting is None


class Schedule(Part):
    """One chaos experiment: processes, traffic and steps."""

    name: str
    title: str = Field(description="The fault in a few words, for the table.")
    workers: int = Field(default=3, ge=1, le=6)
    learner: bool = Field(default=False, description="Whether a learner ingests the examples meanwhile.")
    disk_megabytes: int = Field(default=0, ge=0, description="Size of the learner's own small disk; 0: the common one.")
    traffic: Traffic = Field(default_factory=Traffic)
    resends: bool = Field(default=False, description="Whether the log must end up with events written twice.")
    steps: tuple[Step, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _actors_exist(self) -> Self:
        actors = {"broker", *(f"worker-{n}" for n in range(1, self.workers + 1))}
        actors |= {f"producer-{n}" for n in range(1, self.traffic.producers + 1)}
        actors |= {"learner"} if self.learner else set()
        for step in sorted(self.steps, key=lambda step: step.at):
            if step.do == "start":
                if not step.whom.startswith("worker-"):
                    raise ValueError(f"only workers can be added with 'start', not {step.whom!r}")
                actors.add(step.whom)
            elif step.whom and step.whom not in actors:
                raise ValueError(f"there is no {step.whom!r} at {step.at:g} s; there are {', '.join(sorted(actors))}")
            if step.do == "fill_disk" and not self.disk_megabytes:
                raise ValueError("'fill_disk' needs `disk_megabytes`")
        return self

    def timeline(self) -> tuple[Action, ...]:
        """Beginnings and ends of all steps, in order of time."""
        return tuple(sorted(self._actions(), key=lambda action: action.at))

    def _actions(self) -> Iterator[Action]:
        for step in self.steps:
            yield Action(step.at, step.do, step.whom, step)
            if step.lasting is not None:
                yield Action(step.at + step.lasting, UNDOING[step.do], step.whom, step, undoes=True)


def load_schedules(file: Path = SCHEDULES) -> dict[str, Schedule]:
    """Every schedule of the file by name, in the file's order; raises ScheduleError."""
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as fault:
        raise ScheduleError(f"{file}: cannot be read: {fault}", fix="see tests/chaos/schedules.toml") from fault
    return {name: parse_schedule(name, table) for name, table in document.items()}


def parse_schedule(name: str, table: dict[str, Any]) -> Schedule:
    """One schedule of a parsed file; raises ScheduleError naming schedule, field and fault."""
    try:
        return Schedule(name=name, **table)
    except ValidationError as fault:
        first = fault.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "schedule"
        raise ScheduleError(
            f"schedule {name!r}: {field}: {first['msg']}",
            fix="tests/chaos/schedule.py says what a table holds",
        ) from fault
