"""What every stage needs of Kafka: connections, rights, the topics, and ids that tell recreated topics apart.

Reads the cluster's metadata, topic ids and rights, and its consumer groups.
Writes nothing, except that it creates topics for `trimtab topics create`.
Guarantees that an error for an absent broker, a missing right or a wrong protocol names the address, user and topic.
Fails with ComponentUnreachable, RightMissing, TopicError or TopicUnidentified.
"""
