"""The shared vocabulary of every stage.

Reads the `.avsc` files, `registry.json` and the experiment file.
Writes nothing.
Guarantees that all stages encode, decode, hash and draw in the same way.
"""
