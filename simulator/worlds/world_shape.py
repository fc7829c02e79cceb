"""The constants of a world: who its users are, what its ranker predicts, and how much the weights matter.

Every constant is a field; `named_worlds` changes a few of them for each world.
"""

from __future__ import annotations

from dataclasses import dataclass

KINDS = ("repin", "p2p", "hide")
"""What users do: the first two are objectives, the last one is for guardrails."""
TUNED_HEADS = ("repin", "p2p")
HEADS = (*TUNED_HEADS, "closeup", "dwell", "hide")
WEIGHT_LOW, WEIGHT_HIGH = (10.0, 1.0), (200.0, 30.0)
PRODUCTION_WEIGHTS = (91.6, 9.1)


@dataclass(frozen=True)
class LeanShape:
    """The logit of a request's lean ℓ, from 0 (looks for inspiration) to 1 (shops).

    `trait`, `intent`, `crossed` (trait × intent), `paired` (trait × trait), `topic`, `device` and `evening` are
    coefficients. Traits are standard normal. The intent is ±1: +1 on a share `shop_share` of the days, and each one
    lasts `stay_days` days on average before it is drawn again.
    """

    base: float = 0.0
    trait: float = 0.2
    intent: float = 1.0
    crossed: float = 2.5
    paired: float = 0.2
    topic: float = 0.4
    device: float = 0.3
    evening: float = 0.3
    stay_days: float = 4.0
    shop_share: float = 0.5


@dataclass(frozen=True)
class GateShape:
    """How likely a request responds at all, by kind: `level`, times a factor that depends on the weights.

    The factor is 1 for production. For other weights it is `others`, or with a `height` it is 1 + height · (1 − d²), d
    the distance of the weights, normalised to [0, 1], from `peak`, divided by production's: a bowl that is 1 at
    production and 1 + height at the peak, everywhere alike.
    """

    level: tuple[float, float, float] = (1.0, 1.0, 1.0)
    others: tuple[float, float, float] = (1.0, 1.0, 1.0)
    height: tuple[float, float, float] = (0.0, 0.0, 0.0)
    peak: tuple[float, float] = (0.5, 0.5)


@dataclass(frozen=True)
class WorldShape:
    """All constants of one world.

    `rates` bound the chances of a save, a P2P and a hide of the item at the top; `rate_spread` are the standard
    deviations over users of their logarithms, and `context_spread` that of a factor per request that no feature shows.
    A share `collector_share` of the users are collectors, who save e^`collector_gap` times as often as the others.
    `mix` in [0, 1] is how much the lean decides what users do; `gain` is how much an item's quality does; `catchy` and
    `catchy_spread` are the mean and the standard deviation over users of what catchy items add. `rival` in [0, 1) is
    how much inspiring items are those that do not sell. `head_noise` is what the ranker's heads get wrong.
    `fixed_weights` are production's for the heads that are not tuned. With `same_slate` every weight vector serves what
    production serves.
    """

    lean: LeanShape = LeanShape()
    gate: GateShape = GateShape()
    rates: tuple[float, float, float] = (0.075, 0.04, 0.01)
    rate_spread: tuple[float, float, float] = (0.2, 0.4, 0.4)
    collector_share: float = 0.5
    collector_gap: float = 2.8
    context_spread: float = 0.2
    mix: float = 0.82
    gain: float = 0.84
    catchy: float = 0.0
    catchy_spread: float = 0.3
    rival: float = 0.0
    head_noise: float = 0.5
    fixed_weights: tuple[float, float, float] = (6.0, 0.6, -20.0)
    position_bias: float = 0.85
    topics: int = 6
    sets_per_topic: int = 4
    candidates: int = 24
    served: int = 6
    styles: int = 3
    visits_spread: float = 1.1
    same_slate: bool = False
