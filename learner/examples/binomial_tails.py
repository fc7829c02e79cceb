"""Tails of the binomial distribution, also for effective numbers of trials, which need not be whole. Pure.

If n trials come in clusters that share one draw, the variance of the number of successes k is n·p·(1 − p)·d, where d is
the design effect Σ m² / Σ m over clusters of m trials (Kish, Survey Sampling, 1965, equation 8.2.1 with full
correlation). Then k / d among n / d trials has the mean and the variance of a binomial number.
"""

from scipy.special import betainc

EXACT_UP_TO = 1e15
"""Up to this many trials the tail is computed exactly; beyond 10¹⁷ the function loses its precision."""


def p_at_least(successes: float, trials: float, rate: float, design_effect: float = 1.0) -> float:
    """P(at least this many successes); successes in [0, trials], rate in [0, 1], design effect above 0.

    More than 10¹⁵ effective trials count as 10¹⁵ with the same share of successes, which is weaker evidence.
    """
    if successes <= 0.0:
        return 1.0
    effective = min(1.0 / design_effect, EXACT_UP_TO / trials)
    return float(betainc(successes * effective, (trials - successes) * effective + 1.0, rate))


def p_at_most(successes: float, trials: float, rate: float, design_effect: float = 1.0) -> float:
    """P(at most this many successes), as `p_at_least`: as many failures, at least, as there are."""
    return p_at_least(trials - successes, trials, 1.0 - rate, design_effect)
