"""Intervals of every estimator on many drawn logs at once, from the counts of their users.

The sums are those that `off_policy` computes row by row; the bounds are computed by `off_policy.score_bounds` itself. A
test draws a log, writes its rows out, and compares the two.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import stdtrit

from benchmarks.coverage_worlds import HALF, RARE, UserCounts
from off_policy.intervals import binomial_bounds
from off_policy.numeric_arrays import FloatArray
from off_policy.score_bounds import PairParts, ScorePart, lift_bounds, relative_bounds, value_bounds

MODELS = ("good", "constant", "wrong")
"""Predictions of the reward models: the true mean of each row, the mean of all, and three times that."""


@dataclass(frozen=True, slots=True, eq=False)
class Bounds:
    """One kind of interval in R replications: the bounds, those of the delta method with Student's t, and the truth.

    `expected` are the expected positives and `freedom` the degrees of freedom that decide about an answer.
    """

    name: str
    lower: FloatArray
    upper: FloatArray
    plain: tuple[FloatArray, FloatArray]
    truth: float
    expected: FloatArray
    freedom: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """Rows of a column with the same weight: how many, the sums of their rewards and of the squares of these, the
    weight of each, what is subtracted."""

    rows: FloatArray
    rewards: FloatArray
    second: FloatArray
    weight: FloatArray
    centre: FloatArray

    def sums(self) -> FloatArray:
        """Σ weight (r - centre) over the rows of a user."""
        return np.asarray(self.weight * (self.rewards - self.rows * self.centre))

    def squares(self) -> FloatArray:
        """Σ (r - centre)² over them."""
        return np.asarray(self.second - 2.0 * self.centre * self.rewards + self.rows * np.square(self.centre))


class CoverageStudy:
    """All intervals of R drawn logs; use: `for bounds in CoverageStudy(counts, level).all(): ...`."""

    def __init__(self, counts: UserCounts, level: float) -> None:
        self.counts, self.level, self.n = counts, level, counts.world.rows
        zero = np.zeros((1, 1))
        alone, shared = ~counts.shared, counts.shared
        ours = 1.0 / np.where(counts.rare, RARE, HALF)
        base = np.full((1, 1), 1.0 / HALF)
        self.own = _Piece(counts.rows, counts.rewards, counts.squares, ours, zero)
        self.less, self.both = (
            _Piece(counts.base_rows * of, counts.base_rewards * of, counts.base_squares * of, base, zero)
            for of in (alone, shared)
        )
        self.size = _ratio(
            self._sum(counts.squares + counts.base_squares) + counts.squares_elsewhere,
            self._sum(counts.rewards + counts.base_rewards) + counts.rewards_elsewhere,
        )
        self.totals = self._total([self.own, self.both]), self._total([self.less, self.both])
        self.truths = counts.world.values

    def all(self) -> Iterator[Bounds]:
        """Values by IPS, SNIPS, DR and SN-DR, and paired lifts by SNIPS and DR, absolute and relative."""
        with np.errstate(all="ignore"):
            yield self._snips()
            yield self._doubly_robust("ips", np.zeros((1, 1)), np.zeros((1, 1)))
            yield from self._snips_lifts()
            for model in MODELS:
                ours, base = self._predictions(model)
                yield self._doubly_robust(f"dr {model}", ours, base)
                yield self._doubly_robust(f"sndr {model}", ours, base, normalised=True)
                yield from self._dr_lifts(model, ours, base)

    def at_hits(self) -> Bounds:
        """Reward@HIT by Clopper and Pearson, of binary rewards, even propensities and one row a user."""
        pieces = self.own, self.both
        rows = self._sum(sum(piece.rows for piece in pieces))
        positives = self._sum(sum(piece.rewards for piece in pieces))
        expected, freedom = self._evidence(pieces)
        with np.errstate(all="ignore"):
            value = positives / rows
            plain = self._quantile(freedom) * np.sqrt(value * (1.0 - value) / rows)
        bounds = binomial_bounds(positives, rows, self.level)
        return Bounds("reward_at_hit", *bounds, (value - plain, value + plain), self.truths[0], expected, freedom)

    def _snips(self) -> Bounds:
        total = self.totals[0][:, None]
        value = self._over([self.own, self.both], total)
        part = self._centred([self._share(each, total) for each in (self.own, self.both)], value)
        return self._value("snips", value, part)

    def _doubly_robust(self, name: str, ours: FloatArray, base: FloatArray, *, normalised: bool = False) -> Bounds:
        own, both = replace(self.own, centre=ours), replace(self.both, centre=base)
        value = (self._sum(own.sums() + both.sums()) + self._sum(self._expected(ours))) / self.n
        if normalised:
            correction = self._sum(own.sums() + both.sums()) / self.totals[0]
            value = self._sum(self._expected(ours)) / self.n + correction
            scale = self.n / self.totals[0][:, None]
            own, both = (
                replace(each, centre=each.centre + correction[:, None], weight=each.weight * scale)
                for each in (own, both)
            )
        variance, by_row = self._mean_variance([own, both], ours)
        return self._value(name, value, self._uncentred([own, both], (variance, by_row), self.totals[0]))

    def _snips_lifts(self) -> Iterator[Bounds]:
        first, second = (total[:, None] for total in self.totals)
        values = self._over([self.own, self.both], first), self._over([self.less, self.both], second)
        ours, base = 1.0 / first, 1.0 / second
        least = np.minimum(ours, base)
        parts = [
            [self._share(self.own, first), replace(self.both, weight=self.both.weight * (ours - least))],
            [self._share(self.less, second), replace(self.both, weight=self.both.weight * (base - least))],
            [replace(self.both, weight=self.both.weight * least)],
        ]
        more, less, common = (self._centred(part, self._own_mean(part)) for part in parts)
        terms = [
            sum(self._share(replace(each, centre=value[:, None]), total).sums() for each in pieces)
            for pieces, value, total in (
                ((self.own, self.both), values[0], first),
                ((self.less, self.both), values[1], second),
            )
        ]
        covariance = tuple(self._sum(terms[a] * terms[b]) for a, b in ((0, 0), (0, 1), (1, 1)))
        pair = PairParts(values, (covariance[0], covariance[1], covariance[2]), more, less, common)
        yield from self._lifts("snips", pair, parts[0], parts[1])

    def _dr_lifts(self, model: str, ours: FloatArray, base: FloatArray) -> Iterator[Bounds]:
        own, less, both = (
            replace(piece, centre=centre) for piece, centre in ((self.own, ours), (self.less, base), (self.both, base))
        )
        sums = own.sums() + both.sums() + self._expected(ours), less.sums() + both.sums() + self._expected(base)
        values = self._sum(sums[0]) / self.n, self._sum(sums[1]) / self.n
        spread = [each - self.counts.world.per_user * value[:, None] for each, value in zip(sums, values, strict=True)]
        scale = self.n * (self.n - 1.0)
        covariance = tuple(self._sum(spread[a] * spread[b]) / scale for a, b in ((0, 0), (0, 1), (1, 1)))
        none = np.zeros((1, 1))
        more, fewer, common = (
            self._uncentred([piece], self._mean_variance([piece], none), total)
            for piece, total in ((own, self.totals[0]), (less, self.totals[1]), (both, self.totals[1]))
        )
        pair = PairParts(values, (covariance[0], covariance[1], covariance[2]), more, fewer, common)
        yield from self._lifts(f"dr {model}", pair, [own], [less])

    def _value(self, name: str, value: FloatArray, part: ScorePart) -> Bounds:
        expected, freedom = self._evidence([self.own, self.both])
        quantile = self._quantile(freedom)
        plain = quantile * np.sqrt(part.variance)
        lower, upper = value_bounds(value, part, self._unit_quantile(freedom))
        return Bounds(name, lower, upper, (value - plain, value + plain), self.truths[0], expected, freedom)

    def _lifts(self, name: str, pair: PairParts, more: Sequence[_Piece], less: Sequence[_Piece]) -> Iterator[Bounds]:
        sides = self._evidence(more), self._evidence(less)
        expected, freedom = (np.minimum(one, other) for one, other in zip(*sides, strict=True))
        quantile = self._quantile(freedom)
        (first, second), (ours, both, base) = pair.values, pair.covariance
        plain = quantile * np.sqrt(np.maximum(ours - 2 * both + base, 0.0))
        lift, truth = first - second, self.truths[0] - self.truths[1]
        wider = self._unit_quantile(freedom)
        yield Bounds(f"{name} lift", *lift_bounds(pair, wider), (lift - plain, lift + plain), truth, expected, freedom)
        ratio = first / second
        plain = quantile * np.sqrt(np.maximum(ours - 2 * ratio * both + np.square(ratio) * base, 0.0)) / second
        bounds, truth = relative_bounds(pair, wider), self.truths[0] / self.truths[1] - 1.0
        yield Bounds(f"{name} relative", *bounds, (ratio - 1 - plain, ratio - 1 + plain), truth, expected, freedom)

    def _evidence(self, pieces: Sequence[_Piece]) -> tuple[FloatArray, FloatArray]:
        """(expected positives, degrees of freedom) of the pieces' weights."""
        by_user = np.asarray(sum(piece.rows * piece.weight for piece in pieces))
        squares = self._sum(sum(piece.rows * np.square(piece.weight) for piece in pieces))
        ess = np.square(self._sum(by_user)) / squares
        fourth = self._sum(np.square(np.square(by_user)))
        freedom = np.square(self._sum(np.square(by_user))) / fourth - 1.0
        return np.nan_to_num(ess * self.counts.rate_elsewhere), np.nan_to_num(freedom)

    def _predictions(self, model: str) -> tuple[FloatArray, FloatArray]:
        """Of the policy's and of the baseline's arm, by column."""
        world = self.counts.world
        rate = self.counts.rate * world.mean_size
        if model == "good":
            return np.where(self.counts.shared, rate, rate * world.factor), rate
        level = np.full(rate.shape, min(world.rate * (1.0 if model == "constant" else 3.0), 0.9) * world.mean_size)
        return level, level

    def _quantile(self, freedom: FloatArray) -> FloatArray:
        return np.asarray(stdtrit(np.maximum(freedom, 1.0), 0.5 + self.level / 2.0))

    def _unit_quantile(self, freedom: FloatArray) -> FloatArray:
        """As `off_policy.intervals.unit_quantile`; that takes one more than the degrees of freedom."""
        return np.asarray(self._quantile(freedom) * (freedom + 1.0) / np.maximum(freedom, 1.0))

    def _sum(self, terms: FloatArray | float) -> FloatArray:
        """float[R]: the sum over users."""
        return np.asarray((self.counts.times * terms).sum(axis=1))

    def _total(self, pieces: Sequence[_Piece]) -> FloatArray:
        return self._sum(sum(piece.rows * piece.weight for piece in pieces))

    def _over(self, pieces: Sequence[_Piece], total: FloatArray) -> FloatArray:
        return np.asarray(self._sum(sum(piece.rewards * piece.weight for piece in pieces)) / total[:, 0])

    def _size(self, pieces: Sequence[_Piece]) -> FloatArray:
        """The size of one reward: that of the log or of these pieces, whichever is larger (`weighted_parts`)."""
        squares = self._sum(sum(piece.second * piece.weight for piece in pieces))
        return np.maximum(self.size, _ratio(squares, self._sum(sum(piece.rewards * piece.weight for piece in pieces))))

    def _expected(self, predicted: FloatArray) -> FloatArray:
        return self.counts.world.per_user * predicted

    @staticmethod
    def _share(piece: _Piece, total: FloatArray) -> _Piece:
        return replace(piece, weight=piece.weight / total)

    def _own_mean(self, pieces: Sequence[_Piece]) -> FloatArray:
        total = self._total(pieces)
        return np.asarray(np.where(total > 0.0, self._over(pieces, total[:, None]), 0.0))

    def _centred(self, pieces: Sequence[_Piece], mean: FloatArray) -> ScorePart:
        """Of shares, with their mean subtracted from the rewards."""
        around = [replace(piece, centre=mean[:, None]) for piece in pieces]
        total = self._total(around)
        squares = self._sum(sum(each.rows * np.square(each.weight) for each in around))
        spread = self._sum(sum(each.weight * each.squares() for each in around)) / total
        return _without_nan(
            ScorePart(
                variance=self._sum(np.square(sum(each.sums() for each in around))),
                row_variance=self._sum(sum(np.square(each.weight) * each.squares() for each in around)),
                floor=squares * spread,
                slope=squares / total * (self._size(around) - 2.0 * mean),
                bend=squares / np.square(total),
            )
        )

    def _uncentred(
        self, pieces: Sequence[_Piece], variances: tuple[FloatArray, FloatArray], policy_total: FloatArray
    ) -> ScorePart:
        shares = [self._share(piece, self._total_of(pieces, policy_total)) for piece in pieces]
        total = self._total(shares)
        squares = self._sum(sum(each.rows * np.square(each.weight) for each in shares))
        spread = self._sum(sum(each.weight * each.squares() for each in shares)) / total
        sums = self._sum(sum(each.sums() for each in shares))
        middle = self._sum(sum(each.rows * np.square(each.weight) * each.centre for each in shares)) / squares
        return _without_nan(
            ScorePart(
                variance=variances[0],
                row_variance=variances[1],
                floor=np.maximum(squares * spread - np.square(sums) / self.n, 0.0),
                slope=squares / total * (self._size(shares) - 2.0 * middle),
                bend=np.zeros_like(total),
            )
        )

    def _total_of(self, pieces: Sequence[_Piece], policy_total: FloatArray) -> FloatArray:
        """The sum of the policy's weights, in the scale of the pieces' weights."""
        scaled = self._total(pieces)
        return np.asarray(scaled if len(pieces) > 1 else policy_total)[:, None]

    def _mean_variance(self, pieces: Sequence[_Piece], predicted: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(by user, by row): the variance of the mean over all rows of predicted + weight (r - centre)."""
        size = self.counts.world.per_user
        by_user = np.asarray(sum(piece.sums() for piece in pieces)) + size * predicted
        mean = self._sum(by_user) / self.n
        squared = sum(
            np.square(each.weight) * each.squares() + 2.0 * predicted * each.sums() for each in pieces
        ) + size * np.square(predicted)
        scale = self.n * (self.n - 1.0)
        by_row = (self._sum(squared) - self.n * np.square(mean)) / scale
        return self._sum(np.square(by_user - size * mean[:, None])) / scale, by_row


def _ratio(squares: FloatArray, rewards: FloatArray) -> FloatArray:
    """As `off_policy.weighted_parts.reward_size`: 0 without a reward."""
    return np.where(rewards > 0.0, squares / np.where(rewards > 0.0, rewards, 1.0), 0.0)


def _without_nan(part: ScorePart) -> ScorePart:
    """An empty part is nothing."""
    cleaned = (np.nan_to_num(getattr(part, name)) for name in ScorePart.__dataclass_fields__)
    return ScorePart(*cleaned)
