"""Writes the decisions of people and the learner, and verifies them before readers use them.

Reads and writes signed records through a PolicyStore.
Guarantees that every decision is signed by a role that may make it, that everything read is verified from signature to
blob, and that a kill is never refused.
Fails with the errors of `policy_store.records.store_errors`; after any of them nothing has changed.
"""
