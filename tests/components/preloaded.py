"""Imports what commands need; loaded once by the process from which command processes are forked."""

from __future__ import annotations

from importlib import import_module

import tests.components.command_pool
from trimtab.cli import build_app

for heavy in ("torch", "polars", "faust", "onnxruntime", "aiokafka", "redis", "uvicorn", "fastapi"):
    import_module(heavy)
build_app()
__all__ = ["tests"]
