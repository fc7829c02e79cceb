"""Coins, units, settings and drawn vectors as a client in another language would write them.

Written from the `rule` texts of `event_schemas/conformance/` alone. Quantiles are found by halving an interval.
"""

from __future__ import annotations

import hashlib
import math
import re
import struct

from tests.conformance.draw_vectors import (
    ExperimentExpected,
    ExperimentGiven,
    ExploredExpected,
    ExploredGiven,
    LogUnitExpected,
    LogUnitGiven,
    NormalExpected,
    NormalGiven,
    PolicyArmGiven,
    PolicyVectorExpected,
    PolicyVectorGiven,
    SettingsExpected,
    SettingsGiven,
    UnitExpected,
    UnitGiven,
)
from tests.conformance.other_json import canonical
from tests.conformance.vector_files import ArmExpected

SPACES = "[\\t-\\r\\x1c- \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]*"
NOBODY = re.compile(
    f"{SPACES}(|-|-1|0|00000000-0000-0000-0000-000000000000|anonymous|guest|n/a|na|nan|nil|none|null|undefined"
    f"|un[kK\\u212a]nown|unknown){SPACES}",
    re.IGNORECASE | re.ASCII,
)


def first_8_bytes(salt: str, purpose: str, identifier: str) -> bytes:
    parts = [part.encode("utf-8") for part in (salt, purpose, identifier)]
    return hashlib.sha256(b"\x00".join(parts)).digest()[:8]


def draw(salt: str, purpose: str, identifier: str) -> float:
    (n,) = struct.unpack(">Q", first_8_bytes(salt, purpose, identifier))
    return math.ldexp(float(n), -64)


def unit_of(request_id: str, unit: str) -> str:
    place = request_id.rfind("~")
    if unit == "request" or place < 0 or NOBODY.fullmatch(request_id[:place]):
        return request_id
    return request_id[:place]


def answer_unit(given: UnitGiven) -> UnitExpected:
    return UnitExpected(unit=unit_of(given.request_id, given.unit))


def log_unit_of(request_id: str, user_id: str | None, unit: str, log_unit: str | None) -> str:
    if log_unit == "user" and user_id is not None and not NOBODY.fullmatch(user_id):
        return user_id
    return unit_of(request_id, unit if log_unit in (None, "user") else log_unit)


def answer_log_unit(given: LogUnitGiven) -> LogUnitExpected:
    found = log_unit_of(given.request_id, given.user_id, given.exploration_unit, given.log_unit)
    return LogUnitExpected(log_unit=found)


def answer_experiment(given: ExperimentGiven) -> ExperimentExpected:
    user, nobody = given.user_id, ExperimentExpected(experiment_arm=None)
    if user is None or NOBODY.fullmatch(user):
        return nobody
    if given.share < 1 and draw(given.salt, f"experiment:{given.experiment_id}", user) >= given.share:
        return nobody
    coin, reached = draw(given.salt, f"experiment-arm:{given.experiment_id}", user), 0.0
    for arm in given.arms:
        reached += arm.share
        if coin < reached:
            break
    return ExperimentExpected(experiment_arm=f"{given.experiment_id}/{arm.name}")


def answer_settings(given: SettingsGiven) -> SettingsExpected:
    fields = given.model_dump()
    if fields["log_unit"] is None:
        del fields["log_unit"]
    text = canonical(fields)
    return SettingsExpected(settings=text, digest=hashlib.sha256(text.encode("utf-8")).hexdigest())


def answer_normal(given: NormalGiven) -> NormalExpected:
    spread = (given.mean, given.sd, given.low, given.high)
    return NormalExpected(drawn=_quantile(*spread, given.coin), log_density=_log_density(*spread, given.value))


def answer_explored(given: ExploredGiven) -> ExploredExpected:
    allowed = set(given.eligible) or {0, 1}
    share = 1.0 if allowed == {1} else given.production_share if 1 in allowed else 0.0
    if draw(given.salt, "arm", given.request_id) < share or share == 1:
        return ExploredExpected(arm=1, propensity=share, weights=[], log_density=None)
    weights, densities = [], 0.0
    for weight in given.weights:
        coin = draw(given.salt, f"weight:{weight.name}", given.request_id)
        found, density = _drawn(weight.production, weight.sd, weight.low, weight.high, coin)
        weights.append(found)
        densities += density
    return ExploredExpected(arm=0, propensity=1 - share, weights=weights, log_density=densities)


def answer_policy_arm(given: PolicyArmGiven) -> ArmExpected:
    reached, chosen = 0.0, -1
    for arm, probability in enumerate(given.probabilities):
        if probability <= 0:
            continue
        chosen, reached = arm, reached + probability
        if given.draw < reached:
            break
    return ArmExpected(arm=chosen, propensity=given.probabilities[chosen])


def answer_policy_vector(given: PolicyVectorGiven) -> PolicyVectorExpected:
    weights, densities = [], 0.0
    for weight in given.proposal:
        coin = draw(given.salt, f"policy:{weight.name}", given.request_id)
        found, density = _drawn(weight.mean, weight.sd, weight.low, weight.high, coin)
        weights.append(found)
        densities += density
    return PolicyVectorExpected(weights=weights, log_density=densities)


def _drawn(mean: float | None, sd: float | None, low: float, high: float, coin: float) -> tuple[float, float]:
    """A weight and the logarithm of its density; uniform without sd."""
    if mean is None or sd is None:
        return min(low + coin * (high - low), high), 0.0
    found = _quantile(mean, sd, low, high, coin)
    return found, _log_density(mean, sd, low, high, found)


def _tail(z: float) -> float:
    return math.erfc(z / math.sqrt(2)) / 2


def _quantile(mean: float, sd: float, low: float, high: float, coin: float) -> float:
    below, above = _tail((mean - low) / sd), _tail((high - mean) / sd)
    mass = 1 - below - above
    if coin <= (0.5 - below) / mass:
        z = -_inverse_tail(below + max(coin, 2.0**-65) * mass)
    else:
        z = _inverse_tail(above + max(1 - coin, 2.0**-55) * mass)
    return min(max(mean + sd * z, low), high)


def _inverse_tail(p: float) -> float:
    """The z from 0 to 64 at which `_tail` falls below p."""
    left, right = 0.0, 64.0
    for _ in range(120):
        middle = (left + right) / 2
        left, right = (middle, right) if _tail(middle) >= p else (left, middle)
    return left


def _log_density(mean: float, sd: float, low: float, high: float, value: float) -> float:
    mass = 1 - _tail((mean - low) / sd) - _tail((high - mean) / sd)
    z = (value - mean) / sd
    return -(z**2) / 2 - math.log(2 * math.pi) / 2 - math.log(mass) - math.log(sd / (high - low))
