"""The experiment that tests run: a 7 × 7 weight grid with production, two objectives."""

from __future__ import annotations

BRIDGED_SOURCE = """
[[bridge]]
topic = "{topic}"
sampled = false
[bridge.fields]
request_id = "$key"
event_time = "$timestamp"
[bridge.defaults]
kind = "repin"
"""
"""A section that maps a topic of saves, keyed by request_id."""

HOMEFEED = """\
[experiment]
name = "homefeed"
salt = "pepper"
exploration_rate = 0.0125
log_rate = 0.01
production_share = 0.125

[[weights]]
name = "repin"
production = 91.6
low = 10
high = 200
steps = 7

[[weights]]
name = "click"
production = 9.1
low = 1
high = 30
steps = 7

[[objectives]]
name = "repin"
kinds = ["repin"]
clip = 1
attribution = "30m"

[[objectives]]
name = "click"
kinds = ["click", "long_click"]
clip = 2
attribution = "10m"

[join]
allowed_lateness = "5m"
producer_delay = "1m"
max_pending_per_partition = 10000
max_future_skew = "5m"
clock = "replay"

[preference]
alpha_objective = "repin"
alpha = 0.1
"""
