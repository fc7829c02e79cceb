"""A ranker's process must not pay for training or joining: the serving path loads none of the heavy packages."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FORBIDDEN = {"torch", "polars", "faust", "mode", "aiokafka", "pyarrow", "scipy", "altair", "onnx", "onnxscript"}
PROBE = """
import importlib, json, pkgutil, sys
import serving_agent, trimtab
for module in pkgutil.iter_modules(serving_agent.__path__):
    importlib.import_module("serving_agent." + module.name)
trimtab.PolicyAgent, trimtab.DecisionLogger, trimtab.EngagementLogger
trimtab.Node
import policy_store.backends.redis_store, producers.delivery.kafka_delivery, trimtab.commands.serve, trimtab.testing
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def test_serving_loads_nothing_heavy() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PROBE], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stderr
    loaded = set(json.loads(ran.stdout))
    assert "onnxruntime" in loaded
    assert loaded & FORBIDDEN == set()
