"""Stage 3: from examples to a policy that has been proven, or is not served.

Reads `examples` (Example), by assigned partitions and its own offsets, and `tallies` (Tally).
Writes Parquet segments and checkpoints under the data directory, signed checkpoints and channel records in the policy
store, and `dead-letters` (DeadLetter) for examples that cannot be used.
Guarantees that a kill at any moment neither loses nor doubles an example; that offsets are used only on the topic they
count, and files only as they were written; that no single row and no failed run ends the stage; that only EXPLORE
decisions of the experiment's own action space are learnt from; that no outcome a checkpoint or any of its ancestors was
trained on lies in its hold-out; and that nothing reaches a channel the gate's verdict does not allow.
"""
