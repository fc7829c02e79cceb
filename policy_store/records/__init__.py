"""The content of the store: signed records, their canonical bytes, the rules of their order, and the store's errors.

Reads bytes and keys.
Writes nothing.
Guarantees one byte form for each record, an Ed25519 signature over it, and the numbered rules of `revision_rules`.
Fails with the errors listed at the top of `store_errors`; every refusal names slot and reason.
"""
