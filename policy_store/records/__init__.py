"""What the store holds: signed records, their canonical bytes, their order, and the errors of all that reads them.

Reads bytes and keys.
Writes nothing.
Guarantees one spelling for each record, an Ed25519 signature over it, and the numbered rules of `revision_rules`.
Fails with the errors drawn at the top of `store_errors`; every refusal names slot and reason.
"""
