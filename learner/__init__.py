"""Stage 3: trains policies from examples, evaluates them and publishes those that pass the gate.

Reads `examples` (Example), by assigned partitions and its own offsets, `tallies` (Tally) and `explorations`
(Exploration).
Writes Parquet segments and checkpoints under the data directory, signed checkpoints and channel records in the policy
store, and `dead-letters` (DeadLetter) for examples that cannot be used.
Guarantees that a kill at any moment neither loses nor duplicates an example; that offsets are only used with the topic
to which they belong, and files only while unchanged; that no single row and no failed run ends the stage; that only
EXPLORE decisions of the experiment's own action space are used for training; that no outcome on which a checkpoint or
one of its ancestors was trained is in its hold-out; and that a checkpoint only reaches channels that the gate's verdict
allows.
"""
