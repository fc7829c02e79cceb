"""A page of several authors: each writes its own section and leaves the others alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path


def replace_section(page: Path, heading: str, lines: Sequence[str]) -> None:
    """Replace the section under `heading` ("## …", the first of `lines`), or append it; other sections stay."""
    text = page.read_text(encoding="utf-8") if page.exists() else "# Measured results\n"
    section = "\n".join(lines)
    found = re.compile(rf"^{re.escape(heading)}$.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
    rewritten = found.sub(lambda _: section + "\n", text) if found.search(text) else f"{text}\n{section}\n"
    page.write_text(rewritten.rstrip("\n") + "\n", encoding="utf-8")
