"""From a request to the numbers a network reads: one encoding for training and for serving.

Reads: Request records (plain dicts, as the codec gives them) and the experiment's `[features]` section.
Writes: nothing; gives numpy arrays (`ModelInput`).
Guarantees: the same request gives the same arrays in the learner and in a serving node; ids never seen
before need no rebuild (hashing vocabulary, 0 = missing); the contract's digest changes whenever the
encoding could; a required feature that is absent or broken is named in a `MissingFeatures` error.
"""

from feature_contract.contract import FeatureContract
from feature_contract.missing_features import MissingFeatures
from feature_contract.model_input import ModelInput

__all__ = ["FeatureContract", "MissingFeatures", "ModelInput"]
