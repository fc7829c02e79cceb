"""`trimtab rebuild`: trains a checkpoint again from the stored examples and compares the values."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from trimtab.learner_progress import run_progress
from trimtab.settings import load_settings


def rebuild(
    checkpoint: Annotated[str, typer.Argument(help="The version of a checkpoint on this machine.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Train a checkpoint again from its rows, seed, parent and settings, and report the largest difference of a value.

    Nothing is written or published. The exit code is 1 if a value differs by more than 10⁻⁶. If rows, the parent or
    settings are gone, the error names them.

    Example: trimtab rebuild 20261130T120000000Z-1a2b3c4d
    """
    from learner.checkpoint_rebuild import CLOSE, Rebuild
    from learner.checkpoints import CHECKPOINTS_FOLDER, CheckpointShelf, learner_directory
    from learner.examples import EXAMPLES_FOLDER, EXPLORATIONS_FOLDER, ExplorationShelf
    from trimtab.process_log import log_to_stderr
    from trimtab.tables import show_text

    log_to_stderr()
    settings = load_settings()
    experiment = settings.load_experiment()
    directory = learner_directory(settings.data_dir, experiment)
    job = Rebuild(
        experiment,
        CheckpointShelf(directory / CHECKPOINTS_FOLDER),
        directory / EXAMPLES_FOLDER,
        ExplorationShelf(directory / EXPLORATIONS_FOLDER).load(),
    )
    with run_progress() as show:
        found = job.run(checkpoint, show.training)
    if as_json:
        typer.echo(json.dumps(found.as_dict()))
    else:
        show_text(f"trained again on {found.examples:,} examples in {found.seconds:.1f} s")
        verdict = "the same" if found.same else f"not the same: more than {CLOSE:g}"
        show_text(f"largest difference of a value {found.difference:.3g} on {found.compared:,} rows: {verdict}")
    if not found.same:
        raise typer.Exit(1)


def register(app: typer.Typer) -> None:
    """Adds `trimtab rebuild`."""
    app.command("rebuild")(rebuild)
