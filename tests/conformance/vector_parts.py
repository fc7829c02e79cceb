"""What every part of a vector file has in common."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
LogUnit = Literal["request", "session", "user"]
Share = Annotated[float, Field(ge=0, le=1)]


class Part(BaseModel):
    """A part of a vector file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
