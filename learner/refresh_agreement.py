"""In how many requests a refresh would choose what the serving checkpoint chooses, as far as this machine can tell."""

from __future__ import annotations

import numpy as np

from event_schemas.experiment import Experiment
from feature_contract import FeatureContract
from learner.asked_policies import judged_by
from learner.checkpoints.checkpoint import CheckpointShelf
from learner.checkpoints.graph_answers import why_unfit
from learner.checkpoints.serving_answers import serving_policy
from learner.checkpoints.serving_checkpoint import ServingCheckpoint
from learner.checkpoints.serving_moves import MOST_ROWS
from learner.examples.learning_rows import LearningRows
from learner.judgement.evaluation import judging_half


def refresh_agreement(
    rows: LearningRows, serving: ServingCheckpoint, shelf: CheckpointShelf, experiment: Experiment
) -> float | None:
    """The share of requests, in [0, 1], in which the newest other checkpoint on this machine chooses the same arm.

    Of `rows`, which are encoded as the experiment file says, the newest of the selection half are asked, under the
    preference by which the serving checkpoint was judged; where a policy draws arms, this is the expected share. None
    if nothing serves, or if there is no other checkpoint that can answer. Raises CheckpointBroken for a broken one on
    this machine.
    """
    if serving.checkpoint is None:
        return None
    others = [
        version
        for version in shelf.versions()
        if version != serving.checkpoint.version and why_unfit(shelf.manifest(version), experiment) is None
    ]
    selecting = np.flatnonzero(~judging_half(rows))[-MOST_ROWS:]
    if not others or not len(selecting):
        return None
    asked, contract = rows.take(selecting), FeatureContract.from_experiment(experiment)
    weights = judged_by(serving.checkpoint, experiment)
    pair = [
        serving_policy(each, asked, experiment, contract, weights).policy
        for each in (serving, ServingCheckpoint(shelf.load(others[-1])))
    ]
    return None if pair[0] is None or pair[1] is None else pair[0].agreement(pair[1])
