"""`trimtab demo`: the whole loop on a real log and in a simulated homefeed, as the real commands in real processes.

Reads the bundled Open Bandit log and the homefeed experiment, and what the commands print.
Writes only below its directory (`var/demo`): logs, segments, report.html, summary.json.
Guarantees that no process it started is left behind, however it ends.
"""
