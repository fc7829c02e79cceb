"""The shared vocabulary of every stage.

Reads the `.avsc` files, `registry.json`, the experiment file and, if one is configured, a Schema Registry.
Writes the shipped schemas and the subjects' compatibility to that registry, and its ids to `<data dir>/schema_ids`.
Guarantees that all stages encode, decode, hash and draw in the same way.
"""
