"""`trimtab demo`: runs the whole loop on a real log and on a simulated homefeed, with the real commands as processes.

Reads the bundled Open Bandit log, the homefeed experiment, and the output of the commands.
Writes only below its directory (`var/demo`): logs, segments, report.html, summary.json.
Guarantees that no process it started keeps running, however it ends.
"""
