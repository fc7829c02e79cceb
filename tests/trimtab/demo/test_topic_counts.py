"""The counts on the live screen while no broker answers (with one: test_joined_examples)."""

from trimtab.demo.topic_counts import TopicCounts


def test_the_last_known_numbers_stay_while_the_broker_does_not_answer() -> None:
    with TopicCounts("127.0.0.1:1", []) as counts:
        assert counts.sentence() == "0 events → 0 examples"
        assert counts.sentence() == "0 events → 0 examples"
