"""No metric grows without end: each label has a bound, and each place that sets one is known.

A label whose values come from requests makes a series per string, in this process and in whatever scrapes it. The list
beside this test says for each label what bounds it; hostile names are tested below and beside the code with the bound.
"""

from __future__ import annotations

import ast
import inspect
import tomllib
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

import monitoring.metrics
from monitoring.metric_group import MetricGroup
from monitoring.metrics import ProducerMetrics
from producers.delivery.delivery_ledger import RECORD_TYPES, DeliveryLedger
from tests.contracts.shipped_code import ROOT, shipped_files

LIST = tomllib.loads(Path(__file__).with_name("metric_labels.toml").read_text(encoding="utf-8"))
BOUNDS: dict[str, str] = LIST["bounds"]
PLACES: dict[str, list[str]] = LIST["places"]
KINDS = frozenset({"Counter", "Gauge", "Histogram", "Summary", "Info", "Enum"})


def groups() -> list[type[MetricGroup]]:
    """Every group of metrics that the code declares."""
    found = [each for _, each in inspect.getmembers(monitoring.metrics, inspect.isclass)]
    return [each for each in found if issubclass(each, MetricGroup) and each is not MetricGroup]


def labels() -> set[str]:
    """Every label of every metric."""
    metrics = [metric for group in groups() for metric in vars(group(CollectorRegistry())).values()]
    return {label for metric in metrics if isinstance(metric, MetricWrapperBase) for label in metric._labelnames}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for file in shipped_files():
        name = ".".join(file.relative_to(ROOT).with_suffix("").parts)
        yield name, ast.parse(file.read_text(encoding="utf-8"))


def set_in(tree: ast.Module) -> list[str]:
    """The arguments of each call of `labels` in a module."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    named = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "labels"]
    return sorted(", ".join(ast.unparse(part) for part in (*call.args, *call.keywords)) for call in named)


def declares_metrics(tree: ast.Module) -> bool:
    """Whether a module calls a class of metrics: one that it imports by name, or an attribute of the library."""
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("prometheus_client")
        for alias in node.names
        if alias.name in KINDS
    }
    called = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return any(
        (isinstance(each, ast.Name) and each.id in imported)
        or (isinstance(each, ast.Attribute) and each.attr in KINDS and "prometheus" in ast.unparse(each.value))
        for each in called
    )


def test_every_label_has_a_bound_and_every_bound_a_label() -> None:
    assert len(groups()) >= 7
    assert sorted(labels()) == list(BOUNDS), "say in metric_labels.toml what bounds the values of a new label"


def test_every_place_that_sets_a_label_is_known() -> None:
    found = {name: places for name, tree in modules() if (places := set_in(tree))}
    assert found == PLACES, "check that the values are bounded, then correct metric_labels.toml"


def test_metrics_are_declared_in_one_module() -> None:
    elsewhere = [name for name, tree in modules() if name != "monitoring.metrics" and declares_metrics(tree)]
    assert elsewhere == [], "declare them in monitoring/metrics.py, where the labels are checked"


def test_a_metric_in_another_module_is_found() -> None:
    for source in ("from prometheus_client import Gauge as G\nG('x', 'y')", "import prometheus_client as p\n"):
        assert declares_metrics(ast.parse(source)) == source.startswith("from")
    assert declares_metrics(ast.parse("import prometheus_client\nprometheus_client.Counter('x', 'y', ['user'])"))
    assert not declares_metrics(ast.parse("from collections import Counter\nCounter('x')"))


def series(registry: CollectorRegistry, name: str) -> list[dict[str, str]]:
    return [each.labels for metric in registry.collect() for each in metric.samples if each.name == name]


def test_records_that_a_foreign_spool_names_are_one_series() -> None:
    registry = CollectorRegistry()
    ledger = DeliveryLedger(ProducerMetrics(registry))
    ledger.adopted({f"Foreign{number}": 1 for number in range(500)})
    ledger.damaged(dict.fromkeys(RECORD_TYPES, 1))
    found = series(registry, "trimtab_producer_events_total")
    assert {each["record"] for each in found} == {*RECORD_TYPES, "unknown"}
    assert registry.get_sample_value("trimtab_producer_events_total", {"record": "unknown", "fate": "adopted"}) == 500
