"""Kafka as every stage meets it: how to connect, which rights are needed, which topics there are and which they are.

Reads the cluster's metadata, topic ids and rights, and its consumer groups.
Writes topics, when `trimtab topics create` asks for them.
Guarantees that an absent broker, a missing right and a wrong protocol are named with the address, user and topic.
Fails with ComponentUnreachable, RightMissing, TopicError or TopicUnidentified.
"""
