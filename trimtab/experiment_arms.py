"""Arms of an online experiment as people write them on the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from event_schemas.errors import SettingError
from policy_store.records import ExperimentArm, PreferenceTarget, parse_weights

WEIGHT = "weight."
KEYS = ("version", "alpha", "share", f"{WEIGHT}OBJECTIVE")
EXAMPLE = "--arm bold,alpha=0.3,version=latest,share=0.25"


def parse_arms(texts: Sequence[str], control: str) -> tuple[ExperimentArm, ...]:
    """`NAME,key=value,…` for each arm: version, alpha, share, and weight.OBJECTIVE once per objective.

    Arms without a share get equal parts of what the others leave; a `control` that is not among the arms is added in
    front. Versions stay as they are written. Raises SettingError, or RecordMalformed for a preference.
    """
    parts = [_parts(text) for text in texts]
    if control not in {name for name, _ in parts}:
        parts.insert(0, (control, {}))
    given = {name: _number(name, "share", keys["share"]) for name, keys in parts if "share" in keys}
    without = len(parts) - len(given)
    left = 1.0 - sum(given.values())
    if without and left <= 0:
        raise SettingError(
            f"the shares of the arms {', '.join(given)} leave nothing for the others",
            fix="give every arm its share, with sum 1, or leave the shares out",
        )
    try:
        return tuple(
            ExperimentArm(
                name=name,
                share=given.get(name, left / without if without else 0.0),
                version=keys.get("version"),
                preference=_preference(name, keys),
            )
            for name, keys in parts
        )
    except ValueError as fault:
        raise SettingError(f"--arm is not understood: {fault}", fix=f"write it as {EXAMPLE}") from fault


def _parts(text: str) -> tuple[str, Mapping[str, str]]:
    name, *pairs = (part.strip() for part in text.split(","))
    keys: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        known = key in KEYS[:-1] or (key.startswith(WEIGHT) and key != WEIGHT)
        if not equals or not value or not known or key in keys:
            raise SettingError(
                f"--arm {text}: {pair!r} is not understood, or there twice",
                fix=f"write it as {EXAMPLE}; keys are {', '.join(KEYS)}",
            )
        keys[key] = value
    return name, keys


def _preference(name: str, keys: Mapping[str, str]) -> PreferenceTarget | None:
    weights = [f"{key.removeprefix(WEIGHT)}={value}" for key, value in keys.items() if key.startswith(WEIGHT)]
    alpha = _number(name, "alpha", keys["alpha"]) if "alpha" in keys else None
    if alpha is None and not weights:
        return None
    return PreferenceTarget.of(alpha=alpha, weights=parse_weights(weights) if weights else None)


def _number(name: str, key: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as fault:
        raise SettingError(f"--arm {name}: {key} {text!r} is not a number", fix=f"write it as {EXAMPLE}") from fault
