"""Digests of an experiment file by section: they show whose file differs from another process's, and in what.

A digest is of the section's meaning, not of its text: of the validated values as canonical JSON. Comments, the order of
keys, `"30m"` or `"1800s"`, and arms in a CSV or in the file itself make no difference. The order of entries in a list
counts. Files that a section names and that are read later, such as `bridge.schema_file`, count by name.

Values that equal their default are left out, and so is a section without any other value. A later release may
therefore add an optional field or section: files that do not set it keep their digests. If a release ever changes a
default, this module must continue to leave out the *first* default; otherwise two releases would call one file
different, and two different values the same. A test holds all defaults.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from event_schemas.action_space import section_digest
from event_schemas.experiment import Experiment

SECTION_DIGESTS = "section_digests"
"""The field's name in heartbeats and manifests."""


def section_digests(experiment: Experiment) -> dict[str, str]:
    """SHA-256 (hex) by the name of the section, for the sections that set anything other than defaults."""
    content = experiment.model_dump(mode="json", exclude_defaults=True)
    return {name: section_digest({name: section}) for name, section in content.items()}


def differing_sections(ours: Mapping[str, str], theirs: Mapping[str, str]) -> tuple[str, ...]:
    """The sections in which two files differ, in the order of the experiment file; sections unknown here come last."""
    known = [name for name in Experiment.model_fields if name in ours or name in theirs]
    unknown = sorted((ours.keys() | theirs.keys()) - Experiment.model_fields.keys())
    return tuple(name for name in (*known, *unknown) if ours.get(name) != theirs.get(name))


def claim_malformed(claim: Any) -> bool:
    """Whether there is a claim that is not the digests of any file."""
    return claim is not None and claim != {} and claimed_digests(claim) is None


def claimed_digests(claim: Any) -> dict[str, str] | None:
    """The digests in a heartbeat or manifest; None if it has none, as those of version 0.1.0, or malformed ones."""
    if not isinstance(claim, Mapping) or not claim:
        return None
    texts = all(isinstance(name, str) and isinstance(digest, str) for name, digest in claim.items())
    return dict(claim) if texts else None
