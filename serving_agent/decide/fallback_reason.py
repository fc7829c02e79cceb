"""Why a request that could have been served by a policy got the production weights instead."""

from enum import StrEnum


class FallbackReason(StrEnum):
    """The reasons; a closed set, because it is a metric label and a field of the Action record."""

    KILLED = "killed"
    """A kill or the kill file switched exploration and policies off."""
    NO_POLICY = "no_policy"
    """No checkpoint has been accepted for this request's channel yet."""
    NO_PREFERENCE = "no_preference"
    """There are several objectives and no preference between them."""
    PREFERENCE = "preference"
    """The policy was trained for another preference than the one in force, and answers for no other."""
    MISSING_FEATURES = "missing_features"
    """The request lacks a feature that the policy needs."""
    TIME_OUT = "time_out"
    """Inference did not finish inside `serving.budget_ms`."""
    INFERENCE_ERROR = "inference_error"
    """The network failed, or its answer cannot be served."""
    DRIFT = "drift"
    """The live ranker heads have drifted from those that the policy was trained on."""
    FORKED = "forked"
    """The process was forked a moment ago and has not read the store itself yet."""
    STALE = "stale"
    """The channel record has expired and `serving.on_stale` is not "keep"."""
