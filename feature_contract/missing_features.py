"""The errors of this package.

TrimtabError
└── MissingFeatures      a required feature is absent, or a feature is not what the experiment file declares
    └── AbsurdFeature    a number is not finite, or larger than anything that can be meant
"""

from event_schemas.errors import TrimtabError

SHOWN = 40
"""How much of a broken value an error quotes."""


class MissingFeatures(TrimtabError):
    """A request lacks a required feature, or carries one of the wrong length or that is not a number.

    `feature` is the feature's name as the experiment file writes it (`user_embedding`, `context.surface`,
    `history[3].embedding`). Serving answers with FALLBACK, training leaves the row out and counts it.
    """

    def __init__(self, feature: str, problem: str) -> None:
        self.feature = feature
        super().__init__(
            f"request feature {feature!r} {problem}",
            fix=f"send {feature!r} as the [features] section of the experiment file declares it",
        )


class AbsurdFeature(MissingFeatures):
    """A number that is not finite, or beyond the bound of its kind; `value` is its text, cut where it is long."""

    def __init__(self, feature: str, value: object, bound: float) -> None:
        self.value = shown(value)
        super().__init__(feature, f"holds {self.value}, and only finite numbers up to {bound:g} can be meant")


def shown(value: object) -> str:
    """The value as an error quotes it."""
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
