"""Every setting of the worker is explained where it stands."""

from __future__ import annotations

import ast
import inspect
from dataclasses import fields

from stream_processors.worker import worker_settings
from stream_processors.worker.worker_settings import WorkerSettings


def test_every_field_has_a_text_under_it() -> None:
    (declaration,) = [
        node for node in ast.parse(inspect.getsource(worker_settings)).body if isinstance(node, ast.ClassDef)
    ]
    pairs = zip(declaration.body, declaration.body[1:], strict=False)
    explained = {
        field.target.id
        for field, text in pairs
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr)
    }
    assert explained == {field.name for field in fields(WorkerSettings)}
