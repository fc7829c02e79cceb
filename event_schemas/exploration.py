"""The settings that decisions are drawn with, their digest, and the draws themselves.

A draw is a pure function of these settings, the experiment's action space, the request's id, its eligible arms and the
exploration rate in force. Propensity carries the digest of the settings, and the topic `explorations` and the learner
keep the settings under it: so every draw can be recomputed, also after the experiment file has changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass as validated

from event_schemas.action_space import VECTOR, ActionSpace, section_digest, section_text
from event_schemas.box_draws import BoxDistribution, normal_box, uniform_box
from event_schemas.errors import MalformedRecord
from event_schemas.exploration_units import LogUnit, Unit, log_unit_of, unit_of
from event_schemas.slices import ArmDraw, SamplingDraw, Slice, SliceDraw, coin, draw_arm, draw_sampling, draw_slice
from event_schemas.truncated_normal import LEAST_SD, MOST_SD, sd_bounds

Kind = Literal["uniform", "normal"]
Share = Annotated[float, Field(ge=0, le=1)]


@validated(frozen=True, config=ConfigDict(extra="forbid", strict=True, allow_inf_nan=False))
class ExplorationSettings:
    """What decisions are drawn with.

    `action_space` is the digest of the action space, `exploration_rate` the highest ε_t. `sd` has the standard
    deviation of each weight in its own units and file order; it is empty unless `kind` is `normal`. `log_unit` is what
    the coin `log` is drawn for if that is not the exploration unit; where it is, it is None, so that equal draws have
    equal digests.
    """

    action_space: str
    kind: Kind
    unit: Unit
    salt: str
    exploration_rate: Share
    control_rate: Share
    log_rate: Share
    production_share: Share
    sd: tuple[Annotated[float, Field(gt=0)], ...] = ()
    log_unit: LogUnit | None = None

    @model_validator(mode="after")
    def _only_a_normal_has_sd(self) -> Self:
        if bool(self.sd) != (self.kind == "normal"):
            raise ValueError(f"sd has {len(self.sd)} values, which does not fit the kind {self.kind!r}")
        return self

    @model_validator(mode="after")
    def _one_spelling_of_the_log_unit(self) -> Self:
        if self.log_unit == self.unit:
            raise ValueError(f"log_unit is left out where it is the unit, {self.unit!r}")
        return self

    @property
    def sampled_by(self) -> LogUnit:
        """What the coin `log` is drawn for."""
        return self.log_unit or self.unit

    @property
    def id_unit(self) -> Unit:
        """What the ids of requests have to name: their session, if any coin is drawn for sessions."""
        return "session" if "session" in (self.unit, self.log_unit) else "request"

    def with_log_rate(self, rate: float) -> Self:
        """The same settings with this log rate in [0, 1], or with their own where that is higher."""
        return self if rate <= self.log_rate else replace(self, log_rate=rate)

    @cached_property
    def text(self) -> str:
        """The settings as canonical JSON (`section_text`)."""
        return section_text(self._content)

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of `text`."""
        return section_digest(self._content)

    @property
    def _content(self) -> dict[str, Any]:
        fields = {name: getattr(self, name) for name in FIELDS}
        return {name: value for name, value in fields.items() if name not in LATER_FIELDS or value is not None}

    @classmethod
    def parse(cls, digest: str, text: str) -> Self:
        """The settings that are kept under a digest; raises MalformedRecord if they are not those."""
        try:
            found = TypeAdapter(cls).validate_json(text)
        except ValidationError as fault:
            first = fault.errors()[0]
            place = ".".join(map(str, first["loc"]))
            what = f"{place}: {first['msg']}".removeprefix(": ").replace("Value error, ", "")
            raise MalformedRecord(
                f"the exploration settings {digest[:12]}… cannot be read: {what}",
                fix="upgrade this process if a newer Trimtab wrote them",
            ) from fault
        if (found.digest, found.text) != (digest, text):
            raise MalformedRecord(
                f"the exploration settings {digest[:12]}… are not the canonical JSON that has this digest",
                fix="write settings as canonical JSON, under its SHA-256",
            )
        return found


FIELDS = (
    "action_space",
    "kind",
    "unit",
    "salt",
    "exploration_rate",
    "control_rate",
    "log_rate",
    "production_share",
    "sd",
    "log_unit",
)
"""The fields of the canonical JSON; a later release may only add some that are left out at their defaults."""
LATER_FIELDS = ("log_unit",)
"""Those that are left out while they are None."""


class ExploredDraw(NamedTuple):
    """An explored arm and P(arm | EXPLORE, request).

    For arm 0 of a box also the vector that was drawn and the logarithm of its density, with weights normalised to
    [0, 1].
    """

    arm: int
    propensity: float
    weights: tuple[float, ...] = ()
    log_density: float | None = None


class ExplorationDraws:
    """The draws of one action space under one set of settings. Pure functions of their arguments.

    Raises MalformedRecord if the settings are for another action space, or their sd cannot be drawn with in this one.
    """

    def __init__(self, space: ActionSpace, settings: ExplorationSettings) -> None:
        if (fault := _misfit(space, settings)) is not None:
            raise MalformedRecord(
                f"the exploration settings {settings.digest[:12]}… do not fit the action space: {fault}",
                fix="use the experiment file that they were written with, or a topic prefix of its own for this one",
            )
        self._space = space
        self._settings = settings
        self._by_session = settings.unit == "session"
        self.box = _box_distribution(space, settings)
        """What the vectors of a box are drawn from; None for other action spaces."""

    def unit(self, request_id: str) -> str:
        """The exploration unit that a request belongs to."""
        return unit_of(request_id, "session") if self._by_session else request_id

    def named_unit(self, request_id: str) -> str:
        """The session that the id names, if any coin is drawn for sessions; else the id."""
        return unit_of(request_id, self._settings.id_unit)

    def slice(self, request_id: str, exploration_rate: float | None = None) -> SliceDraw:
        """EXPLORE, CONTROL or POLICY; the rate is ε_t, by default the settings' own."""
        rates = self._settings
        rate = rates.exploration_rate if exploration_rate is None else exploration_rate
        return draw_slice(rates.salt, self.unit(request_id), exploration_rate=rate, control_rate=rates.control_rate)

    def explore(self, request_id: str, eligible: Sequence[int] = ()) -> ExploredDraw:
        """The arm that an explored request is ranked with; raises ValueError for an arm outside the space.

        The coin `arm` chooses the arm, and `weight:<name>` each weight of a box's vector.
        """
        settings = self._settings
        drawn = draw_arm(self._space, self._coin("arm", request_id), eligible, settings.production_share)
        if self.box is None or drawn.arm == self._space.production_arm:
            return ExploredDraw(drawn.arm, drawn.propensity)
        weights = self.box.draw(lambda name: self._coin(f"weight:{name}", request_id))
        return ExploredDraw(drawn.arm, drawn.propensity, weights, self.box.log_density(weights))

    def policy(self, request_id: str, probabilities: Sequence[float]) -> ArmDraw:
        """The arm of a policy that serves a distribution over arms, by the coin `policy`."""
        return draw_of(probabilities, self._coin("policy", request_id))

    def policy_vector(self, request_id: str, proposal: BoxDistribution) -> ExploredDraw:
        """The vector of a policy that serves a distribution over the box, by the coins `policy:<name>`."""
        weights = proposal.draw(lambda name: self._coin(f"policy:{name}", request_id))
        return ExploredDraw(VECTOR, 1.0, weights, proposal.log_density(weights))

    def sampling(self, request_id: str, drawn: Slice, user_id: str | None = None) -> SamplingDraw:
        """Whether the decision is logged; `user_id` is that of its request."""
        settings = self._settings
        unit = log_unit_of(request_id, user_id, settings.sampled_by, settings.unit)
        return draw_sampling(settings.salt, unit, drawn, settings.log_rate)

    def _coin(self, purpose: str, request_id: str) -> float:
        return coin(self._settings.salt, purpose, request_id)


def draw_of(probabilities: Sequence[float], u: float) -> ArmDraw:
    """The first arm whose cumulative probability exceeds u in [0, 1], among arms with a probability above 0.

    Sums are taken in index order. Raises ValueError if no probability is above 0.
    """
    reached, last = 0.0, None
    for arm, probability in enumerate(probabilities):
        if probability > 0.0:
            reached, last = reached + probability, arm
            if u < reached:
                break
    if last is None:
        raise ValueError("no arm has a probability above 0")
    return ArmDraw(last, float(probabilities[last]))


def _misfit(space: ActionSpace, settings: ExplorationSettings) -> str | None:
    """Why nothing can be drawn from this space with these settings; None if they fit."""
    if settings.action_space != space.digest:
        return f"they are for {settings.action_space[:12]}…, and it is {space.digest[:12]}…"
    if settings.kind == "uniform":
        return None
    if space.kind != "box" or len(settings.sd) != len(space.weight_names):
        return f"it is a {space.kind} of {len(space.weight_names)} weights, and there are {len(settings.sd)} sd"
    for name, sd, length in zip(space.weight_names, settings.sd, (space.high - space.low).tolist(), strict=True):
        least, most = sd_bounds(length)
        if not least <= sd <= most:
            return f"the sd {sd:g} of {name!r} is not between {LEAST_SD:g} and {MOST_SD:g} of its range"
    return None


def _box_distribution(space: ActionSpace, settings: ExplorationSettings) -> BoxDistribution | None:
    if space.kind != "box":
        return None
    low, high = space.low.tolist(), space.high.tolist()
    if settings.kind == "uniform":
        return uniform_box(space.weight_names, low, high)
    production = space.weights[space.production_arm].tolist()
    return normal_box(space.weight_names, production, settings.sd, low, high)
