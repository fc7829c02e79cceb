"""The process that runs the join: Faust, the Kafka transport, the writer of outputs, health and gauges.

Reads `events` in the consumer group `<prefix>join`.
Writes `examples`, `dead-letters`, its commits, and under a live clock Heartbeats to `events`.
Guarantees that a position is committed only after Kafka has confirmed every output before it.
Fails by ending the process with a named error when its log was replaced or truncated, or when an output is not
confirmed in time; a supervisor then restarts it. It waits for a broker that is down.
"""

from stream_processors.worker.join_worker import JoinWorkerParts, run_join_worker
from stream_processors.worker.worker_health import ALIVE_SECONDS, WorkerHealth
from stream_processors.worker.worker_settings import WorkerSettings

__all__ = [
    "ALIVE_SECONDS",
    "JoinWorkerParts",
    "WorkerHealth",
    "WorkerSettings",
    "run_join_worker",
]
