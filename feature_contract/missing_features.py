"""The errors of this package.

TrimtabError
└── MissingFeatures      a required feature is absent, or a feature does not match the experiment file
    └── AbsurdFeature    a number is not finite, or too large to be plausible
"""

from event_schemas.errors import TrimtabError
from event_schemas.shown_text import shown

QUOTED_CHARACTERS = 40
"""How many characters of a broken value an error quotes."""


class MissingFeatures(TrimtabError):
    """A request lacks a required feature, or has a feature of the wrong length or one that is not a number.

    `feature` is the feature's name as in the experiment file (`user_embedding`, `context.surface`,
    `history[3].embedding`). Serving answers with FALLBACK; training skips the row and counts it.
    """

    def __init__(self, feature: str, problem: str) -> None:
        self.feature = feature
        super().__init__(
            f"request feature {feature!r} {problem}",
            fix=f"send {feature!r} as the [features] section of the experiment file declares it",
        )


class AbsurdFeature(MissingFeatures):
    """A number is not finite or exceeds the bound for its kind; `value` is its text, truncated if long."""

    def __init__(self, feature: str, value: object, bound: float) -> None:
        self.value = shown(value, QUOTED_CHARACTERS)
        super().__init__(feature, f"contains {self.value}; only finite numbers within ±{bound:g} are accepted")
