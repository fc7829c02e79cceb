"""Stage 4: stores what may be served, and who decided it.

Reads signed checkpoints from the learner and signed decisions from people.
Writes the Redis keys under `trimtab:{experiment}:` (docs/reference/redis_keys.md).
Guarantees that a publish is atomic: revision, lease, history, audit and notification change together or not
at all; that every record has an Ed25519 signature whose role is checked on reading; that a record older than one
already seen, or one for another experiment or action space, is refused with a reason; and that a kill is never
refused and holds until a resume names it (`revision_rules` lists every rule about the order of records).
"""
