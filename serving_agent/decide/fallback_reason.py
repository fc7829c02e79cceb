"""Why a request that could have been served by a policy got the production weights instead."""

from enum import StrEnum


class FallbackReason(StrEnum):
    """A closed set: it is a metric label and a field of the Action record."""

    KILLED = "killed"
    """A person or a watched file switched exploration and policies off."""
    NO_POLICY = "no_policy"
    """No checkpoint has been accepted for this request's channel yet."""
    NO_PREFERENCE = "no_preference"
    """Several objectives, and nobody has said how to weigh them."""
    MISSING_FEATURES = "missing_features"
    """The request lacks a feature that the policy needs."""
    TIME_OUT = "time_out"
    """Inference did not finish inside `serving.budget_ms`."""
    INFERENCE_ERROR = "inference_error"
    """The network failed or answered with something that is not a value in [0, 1]."""
    DRIFT = "drift"
    """The live ranker heads no longer look as they did when the policy was trained."""
    FORKED = "forked"
    """The process was forked a moment ago, and has not looked at the store by itself yet."""
    STALE = "stale"
    """The channel record has expired and `serving.on_stale` is not "keep"."""
