"""The broker and the forwarder can fail independently."""

from __future__ import annotations

from tests.chaos.fragile_broker import FragileBroker


def test_the_way_can_be_slow_and_can_be_cut_while_the_broker_is_well(fragile_broker: FragileBroker) -> None:
    quick = fragile_broker.answer_seconds()
    fragile_broker.slow(0.2, 0)
    assert fragile_broker.answer_seconds() > quick + 0.2
    fragile_broker.restore()
    assert not fragile_broker.refuses()
    fragile_broker.cut()
    assert fragile_broker.refuses()
    assert not fragile_broker.is_down()
    fragile_broker.mend()
    assert not fragile_broker.refuses()
    fragile_broker.answer_seconds()
