"""May it ship: the log's soundness, off-policy estimates of every candidate, and the gate's verdict.

Reads rows of the hold-out window, tallies, and the candidates' answers.
Writes nothing: results are an evaluation and a verdict with its reasons.
Guarantees that a verdict follows from the evidence alone, within the error budget of all looks taken.
Fails never on thin evidence: that is a verdict of its own.
"""
