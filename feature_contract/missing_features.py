"""The one error of this package."""

from event_schemas.errors import TrimtabError


class MissingFeatures(TrimtabError):
    """A request lacks a required feature, or carries one of the wrong length or a non-finite value.

    `feature` is the feature's name as the experiment file writes it (`user_embedding`, `context.surface`,
    `history[3].embedding`). Serving answers with FALLBACK, training leaves the row out and counts it.
    """

    def __init__(self, feature: str, problem: str) -> None:
        self.feature = feature
        super().__init__(
            f"request feature {feature!r} {problem}",
            mend=f"send {feature!r} as the [features] section of the experiment file declares it",
        )
