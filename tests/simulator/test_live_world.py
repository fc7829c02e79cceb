"""Every world offers what the run asks for."""

from simulator.easy_world import EasyStride, EasyWorld
from simulator.live_world import LiveStride, LiveWorld
from simulator.world_stage import StageStride, WorldStage


def accept_worlds(easy: EasyWorld, stage: WorldStage) -> tuple[LiveWorld, LiveWorld]:
    """Type-checked: both are live worlds."""
    return easy, stage


def accept_strides(easy: EasyStride, stage: StageStride) -> tuple[LiveStride, LiveStride]:
    """Type-checked: their strides are live strides."""
    return easy, stage


def test_both_kinds_of_world_have_every_part() -> None:
    for protocol, kinds in ((LiveWorld, (EasyWorld, WorldStage)), (LiveStride, (EasyStride, StageStride))):
        wanted = {name for name in vars(protocol) if not name.startswith("_")} - {"ranker_version", "kinds"}
        assert wanted and all(wanted <= set(dir(kind)) for kind in kinds)
