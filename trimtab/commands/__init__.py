"""The command line, one file per command group. Stages are imported inside commands: `--help` must stay quick."""
