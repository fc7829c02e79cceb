"""From a request to the numbers a network reads: one encoding for training and for serving.

Reads: Request records (plain dicts, as the codec gives them) and the experiment's `[features]` section.
Writes: nothing; gives numpy arrays (`ModelInput`).
Guarantees: the same request gives the same arrays in the learner and in a serving node; ids never seen
before need no rebuild (hashing vocabulary, 0 = missing); the contract's digest changes whenever the
encoding could; a required feature that is absent or broken is named in a `MissingFeatures` error, an absurd number in
an `AbsurdFeature`; every version of the encoding that a checkpoint may have been trained with is still there.
"""

from feature_contract.contract import FeatureContract, known_contracts
from feature_contract.missing_features import AbsurdFeature, MissingFeatures
from feature_contract.model_input import ModelInput

__all__ = ["AbsurdFeature", "FeatureContract", "MissingFeatures", "ModelInput", "known_contracts"]
