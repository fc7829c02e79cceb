"""`trimtab config`: the configuration in force, and whether it works."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from event_schemas.errors import ExperimentError
from trimtab.process_exit import FAILED, tell
from trimtab.settings import Settings, load_settings
from trimtab.store_access import AsJson, echo_json, print_parts

if TYPE_CHECKING:
    from event_schemas.experiment import Experiment

config_app = typer.Typer(no_args_is_help=True, help="Show and check the settings and the experiment.")


def register(app: typer.Typer) -> None:
    """Adds `trimtab config …`."""
    app.add_typer(config_app, name="config")


@config_app.command()
def show(
    experiment: Annotated[
        bool,
        typer.Option("--experiment", help="Also show the whole experiment, defaults included."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show every setting, its value and its source; secrets are masked.

    Example: trimtab config show --experiment
    """
    from trimtab.effective_settings import effective_settings

    settings = load_settings()
    rows = effective_settings(settings)
    fault, found = _experiment(settings)
    if as_json:
        echo_json(
            {"settings": [row.as_dict() for row in rows], "experiment": _as_dict(settings, found, fault, experiment)}
        )
    else:
        from trimtab.tables import Entry, Listing

        cells = [(row.variable, row.source, _as_written(row.value)) for row in rows]
        print_parts(Listing("settings", ("variable", "source", "value"), [Entry(each) for each in cells]))
        if found is not None:
            print_parts("", *_lines(settings, found, experiment))
    if fault is not None:
        raise fault


@config_app.command()
def check(
    offline: Annotated[bool, typer.Option("--offline", help="Do not contact Kafka, Redis or the registry.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check settings, experiment file, keys, topics, Redis and Schema Registry, and report every problem.

    Each problem is two lines on stderr: what is wrong and how to fix it. The exit code is 0 only if there is none. A
    warning looks the same and leaves the exit code at 0. A service that does not answer within a few seconds counts as
    unreachable.

    Example: trimtab config check --offline
    """
    from trimtab.configuration_check import check_configuration
    from trimtab.process_log import log_to_stderr

    log_to_stderr()
    checks = []
    for each in check_configuration(offline):
        checks.append(each)
        if not as_json:
            state = "ok" if not each.faults else f"{len(each.faults)} wrong"
            print_parts(f"{each.subject:<17}{state:<9}{each.found}")
    sound = not any(each.faults for each in checks)
    if as_json:
        echo_json({"ok": sound, "checks": [each.as_dict() for each in checks]})
    else:
        for each in checks:
            for fault in each.faults:
                tell(fault)
            for warning in each.warnings:
                typer.echo(f"warning: {warning.what}\nfix: {warning.fix}", err=True)
    if not sound:
        raise typer.Exit(FAILED)


def _as_written(value: str | bool | None) -> str:
    """The value as it would be written in the environment variable."""
    if isinstance(value, bool):
        return str(value).lower()
    return "unset" if value is None else value


def _experiment(settings: Settings) -> tuple[ExperimentError | None, Experiment | None]:
    try:
        return None, settings.load_experiment()
    except ExperimentError as fault:
        return fault, None


def _as_dict(
    settings: Settings, found: Experiment | None, fault: ExperimentError | None, whole: bool
) -> dict[str, Any]:
    from trimtab.experiment_text import experiment_summary, experiment_values

    content: dict[str, Any] = {"file": str(settings.experiment.absolute())}
    if fault is not None:
        return content | {"error": fault.what, "fix": fault.fix}
    assert found is not None
    return content | experiment_summary(found) | ({"values": experiment_values(found)} if whole else {})


def _lines(settings: Settings, found: Experiment, whole: bool) -> Iterator[str]:
    from trimtab.experiment_text import experiment_lines, experiment_summary

    yield f"experiment {settings.experiment.absolute()}"
    if whole:
        yield from experiment_lines(found)
        return
    for name, value in experiment_summary(found).items():
        shown = ", ".join(value) or "none" if isinstance(value, list) else value
        yield f"    {name.replace('_', ' '):<17}{shown}"
