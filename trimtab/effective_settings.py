"""Every setting with the value that holds, where it comes from, and without secrets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from pydantic import SecretStr

from trimtab.secret_masking import MASK, masked_keys, masked_redis_address, masked_web_address
from trimtab.settings import PREFIX, Settings

Source = Literal["environment", "default"]
MASKS: dict[str, Callable[[str], str]] = {
    "signing_key": masked_keys,
    "trusted_keys": masked_keys,
    "redis_url": masked_redis_address,
    "schema_registry_url": masked_web_address,
}
"""For what holds a secret in part; a public key looks like a private one, so neither is shown."""


@dataclass(frozen=True, slots=True)
class EffectiveSetting:
    """One variable; `value` is fit to be shown, None where the setting is unset."""

    variable: str
    value: str | bool | None
    source: Source
    meaning: str

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def effective_settings(settings: Settings) -> list[EffectiveSetting]:
    """All of them, in the order of docs/reference/settings.md."""
    return [
        EffectiveSetting(
            variable=PREFIX + name.upper(),
            value=_shown(name, getattr(settings, name)),
            source="environment" if name in settings.model_fields_set else "default",
            meaning=str(field.description),
        )
        for name, field in Settings.model_fields.items()
    ]


def _shown(name: str, value: Any) -> str | bool | None:
    if isinstance(value, bool):
        return value
    if value is None or value == "":
        return None
    text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
    if name in MASKS:
        return MASKS[name](text)
    return MASK if isinstance(value, SecretStr) else text
