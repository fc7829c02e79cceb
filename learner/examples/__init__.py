"""Examples from the topic to rows: decoded, kept in segments on disk, counted, and cut into windows.

Reads `examples` and `tallies`, from its own offsets.
Writes Parquet segments with their manifest under the data directory, and dead letters for examples of no use.
Guarantees that a kill at any moment neither loses nor doubles an example, and that files are used only as written.
Fails with the errors drawn at the top of `learner_errors`; one bad row never ends the stage.
"""
