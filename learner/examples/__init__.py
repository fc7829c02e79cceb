"""Examples from the topic to rows: decodes them, stores them in segments on disk, and splits them into windows.

Reads `examples` and `tallies`, from its own offsets.
Writes Parquet segments with their manifest under the data directory, and dead letters for unusable examples.
Guarantees that a kill at any moment neither loses nor duplicates an example, and that altered files are never used.
Fails with the errors listed at the top of `learner_errors`; one bad row never ends the stage.
"""
