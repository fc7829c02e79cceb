"""Encodes a request as the arrays that a network reads; training and serving use the same encoding.

Reads: Request records (plain dicts, as decoded by the codec) or many requests as columns, and the experiment's
`[features]` section.
Writes: nothing; returns numpy arrays (`ModelInput`).
Guarantees: the same request gives the same arrays in the learner and in a serving node, alone or in columns. New ids
need no rebuild, because categories are hashed (0 = missing). The contract's digest changes whenever the encoding could
change. An absent or broken required feature is named in a `MissingFeatures` error, an absurd number in an
`AbsurdFeature` error. All versions of the encoding that a checkpoint may have been trained with remain available.
"""

from feature_contract.contract import FeatureContract, known_contracts
from feature_contract.missing_features import AbsurdFeature, MissingFeatures
from feature_contract.model_input import ModelInput
from feature_contract.request_columns import ABSENT, EarlierWeights, History, Lists, RequestColumns, Texts, Vectors

__all__ = [
    "ABSENT",
    "AbsurdFeature",
    "EarlierWeights",
    "FeatureContract",
    "History",
    "Lists",
    "MissingFeatures",
    "ModelInput",
    "RequestColumns",
    "Texts",
    "Vectors",
    "known_contracts",
]
