"""Inside a serving node: which weights to rank this request with, and what to log about it.

Reads   the stable, canary and shadow checkpoints, the preference, kills, resumes and re-bases (policy_store), a kill
        file, and the last good snapshot on disk.
Writes  Request, Action, Propensity and Ranking to `events`, Tally to `tallies` and Exploration to `explorations`
        (through producers), the node's heartbeat, its snapshot on disk, and audit entries about refused checkpoints.
Guarantees
        a decision never waits for Redis or Kafka and never fails because one of them is down: it is FALLBACK with
        its reason; every draw is a pure function of (salt, purpose, id); exploring requests need no inference;
        a checkpoint serves only after signature, contract and drift checks; policies are swapped between requests;
        a kill that the node has seen holds until a resume names it, whatever happens to the store.
"""
