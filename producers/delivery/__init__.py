"""Delivers events to the broker without making callers wait: a queue, a client, a spool on disk, and counts.

Reads the spool that this process, or one that died, has left on disk.
Writes to any topic it is given events for, and to the spool while the broker does not answer.
Guarantees that `send` never waits for the broker, that acknowledged + spooled + dropped = handed in, and that events
of one key keep their order.
Fails without raising to the caller of `send`: errors are counted, logged and shown in `/readyz`.
"""
