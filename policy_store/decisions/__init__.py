"""What people and the learner decide, and what readers check before they believe it.

Reads and writes signed records through a PolicyStore.
Guarantees that only a role that may decide does, that what is read was verified from signature to blob, and that a kill
is never refused.
Fails with the errors of `policy_store.records.store_errors`; after any of them nothing has changed.
"""
