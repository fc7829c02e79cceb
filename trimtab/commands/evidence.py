"""`trimtab evidence`: how many rows and days a verdict of the gate needs at today's traffic, and what else would do."""

from __future__ import annotations

import json
import math
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from event_schemas.errors import SettingError
from event_schemas.units import DAY_MS
from trimtab.next_step import say_next
from trimtab.settings import load_settings
from trimtab.store_access import open_store, trust_rule

if TYPE_CHECKING:
    from learner.judgement import Forecast, OutcomeForecast


def tell_evidence(
    lift: Annotated[float, typer.Option(min=0.0, max=10.0, help="True relative lift of the objectives.")] = 0.1,
    power: Annotated[float, typer.Option(min=0.5, max=0.999, help="Probability that a look passes it.")] = 0.8,
    objective: Annotated[str, typer.Option(help="This objective alone; default: all, and guardrails at lift 0.")] = "",
    agreement: Annotated[
        float,
        typer.Option(min=0.0, max=0.99, help="Share of requests in which it serves what production does."),
    ] = 0.0,
    refresh_agreement: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help="Share of requests in which a refresh serves what the serving checkpoint does; default: as measured.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Say how many explored rows and days of hold-out the gate's next look needs to pass a policy with this lift.

    Today's traffic is that of the newest 14 days of examples on this machine. If a hold-out of 14 days is too short, an
    online experiment decides sooner: people start it, and the command says with which share of the users.

    While a checkpoint is serving, the last lines say what a refresh needs: a new checkpoint under the same preference
    that is neither better nor worse than it. How often the two agree is measured on stored requests with the newest
    other checkpoint on this machine.

    Example: trimtab evidence --lift 0.1 --power 0.8
    """
    from feature_contract import FeatureContract
    from learner.checkpoints import (
        CHECKPOINTS_FOLDER,
        CheckpointShelf,
        budget_in_force,
        learner_directory,
        read_serving,
        stored_run,
    )
    from learner.examples import EXAMPLES_FOLDER, EXPLORATIONS_FOLDER, ExplorationShelf, rows_since, stored_examples
    from learner.judgement import SCREEN_DAYS, Assumption, forecast
    from learner.refresh_agreement import refresh_agreement as measured
    from trimtab.process_log import log_to_stderr

    log_to_stderr()
    settings = load_settings()
    experiment = settings.load_experiment()
    if objective and objective not in experiment.objective_names:
        raise SettingError(
            f"--objective {objective!r} is not an objective", fix=f"give one of {', '.join(experiment.objective_names)}"
        )
    directory = learner_directory(settings.data_dir, experiment)
    frame = stored_examples(directory / EXAMPLES_FOLDER)
    newest = int(frame["request_event_time"].to_numpy().max()) if frame.height else 0
    explorations = ExplorationShelf(directory / EXPLORATIONS_FOLDER).load()
    contract = FeatureContract.from_experiment(experiment)
    rows = rows_since(frame, newest - SCREEN_DAYS * DAY_MS, experiment, contract, explorations)
    shelf = CheckpointShelf(directory / CHECKPOINTS_FOLDER)
    store, rule = open_store(settings, experiment), partial(trust_rule, settings, experiment)
    budget = budget_in_force(shelf, experiment, stored_run(store, rule))
    found = forecast(rows, experiment, budget, Assumption(lift, power, agreement, objective or None))
    serving = read_serving(store, rule, shelf)
    if refresh_agreement is None:
        refresh_agreement = measured(rows, serving, shelf, experiment)
    refresh = None
    if serving.checkpoint is not None and refresh_agreement is not None:
        assumed = Assumption.of_refresh(refresh_agreement, power, objective or None)
        refresh = forecast(rows, experiment, budget, assumed)
    if as_json:
        needs = None if refresh is None else refresh.as_dict()
        told = {"refresh": {"serving": serving.detail, "agreement": refresh_agreement, "forecast": needs}}
        typer.echo(json.dumps(found.as_dict() | told))
        return
    _show(found)
    _advise(found)
    if not serving.stable_empty:
        _show_refresh(serving.detail, refresh_agreement, refresh)


def register(app: typer.Typer) -> None:
    """Adds `trimtab evidence`."""
    app.command("evidence")(tell_evidence)


def _show(found: Forecast) -> None:
    from trimtab.tables import figures, show, show_text

    traffic = found.traffic
    show_text(
        f"{traffic.rows_per_day:,.0f} explored rows a day in the newest {traffic.days:.1f} days,"
        f" {traffic.judging_share:.0%} of them in the judging half; weights {traffic.policy_weight:.1f} for an arm and"
        f" {traffic.base_weight:.1f} for the baseline; the next look may spend an error of {found.share:.2g}"
    )
    heads = ("outcome", "lift", "reward", "design", "rows", "days", "exploration")
    show(figures("a verdict needs", heads, [_cells(each) for each in found.outcomes]))


def _show_refresh(serving: str, agreement: float | None, found: Forecast | None) -> None:
    from trimtab.tables import figures, show, show_text

    show("")
    if found is None or agreement is None:
        missing = "no other checkpoint on this machine says how often a refresh agrees with it"
        why = serving if agreement is not None else f"{serving}; {missing}: give --refresh-agreement"
        show_text(f"what a refresh needs is unknown: {why}")
        return
    show_text(
        f"{serving}; a refresh that agrees with it in {agreement:.1%} of requests, and is neither better nor worse,"
        " must be shown not to lose the margin"
    )
    heads = ("outcome", "lift", "reward", "design", "rows", "days", "exploration")
    show(figures("a refresh needs", heads, [_cells(each) for each in found.outcomes]))
    if found.days <= found.holdout_days:
        show_text(f"the hold-out of {found.holdout_days:g} days is long enough for a refresh")
    else:
        days = f"{found.days:,.1f} days" if math.isfinite(found.days) else "more than any number of days"
        show_text(f"a refresh needs {days} of hold-out, more than the {found.holdout_days:g} of learner.holdout_window")


def _cells(each: OutcomeForecast) -> tuple[str, ...]:
    rate = "more than all" if each.exploration_rate is None else f"{each.exploration_rate:.4g}"
    rows, days = (f"{value:{form}}" if math.isfinite(value) else "never" for value, form in _sizes(each))
    return (each.name, f"{each.lift:+.1%}", f"{each.rate:.4g}", f"{each.design_effect:.2f}", rows, days, rate)


def _sizes(each: OutcomeForecast) -> tuple[tuple[float, str], tuple[float, str]]:
    return (each.explored_rows, ",.0f"), (each.days, ",.1f")


def _advise(found: Forecast) -> None:
    from learner.judgement import SCREEN_DAYS
    from trimtab.tables import show_text

    if found.days <= found.holdout_days:
        show_text(f"the hold-out of {found.holdout_days:g} days is long enough: a look needs {found.days:.1f}")
        return
    if found.screens:
        days = math.ceil(found.days)
        show_text(f"set learner.holdout_window = '{days}d', which starts a new budget of the gate")
        return
    rate = found.exploration_rate
    more = "" if rate is None else f", or experiment.exploration_rate = {_rounded_up(rate):g}"
    how_long = f"{found.days:,.0f} days" if math.isfinite(found.days) else "more than any number of days"
    show_text(f"the screen needs {how_long} of hold-out, more than {SCREEN_DAYS}{more}")
    share = found.experiment_share
    if not share <= 1.0:
        long = "any number of" if math.isinf(share) else f"{math.ceil(SCREEN_DAYS * share):,}"
        show_text(f"an online experiment of two arms with all users would need {long} days")
        return
    if found.arm_requests_per_day < 1.0:
        show_text("rewards do not vary, so no experiment can be planned from them")
        return
    show_text(
        f"an online experiment needs {found.arm_requests_per_day:,.0f} requests a day in each of two arms for"
        f" {SCREEN_DAYS} days; its guardrails are watched while it runs"
    )
    say_next(
        f"trimtab experiment start candidate --share {_rounded_up(share):g} --for {SCREEN_DAYS}d"
        " --arm candidate,version=latest --by NAME",
        "a person starts it; share is that of all users, half of whom are its control",
    )


def _rounded_up(share: float) -> float:
    """To two digits, at most 1."""
    scale = 10.0 ** (1 - math.floor(math.log10(share)))
    return min(math.ceil(share * scale) / scale, 1.0)
