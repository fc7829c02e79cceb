"""Getting events to the broker without making anybody wait: queue, client, spool on disk, and counts of all of it.

Reads the spool that this process, or one that died, has left on disk.
Writes any topic it is given events for, and the spool while the broker does not answer.
Guarantees that `send` never waits for the broker, that acknowledged + spooled + dropped = handed in, and that events
of one key keep their order.
Fails never towards the caller of `send`: what goes wrong is counted, logged and shown in `/readyz`.
"""
