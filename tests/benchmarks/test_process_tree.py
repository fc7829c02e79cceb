"""What /proc says of a process tree."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from benchmarks.process_tree import (
    CpuCurve,
    TreeSampler,
    cpu_seconds,
    descendants,
    family_of,
    memory_mb,
    stat_fields,
    status_kb,
)

WORKING_CHILD = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'while True: pass'])"


def test_a_name_with_spaces_and_brackets_does_not_shift_the_fields() -> None:
    assert stat_fields("12 (a ) b) S 7 8")[:2] == ["S", "7"]


def test_descendants_are_all_generations_and_nobody_else() -> None:
    assert descendants(2, {1: 0, 2: 1, 3: 2, 4: 3, 5: 1}) == {2, 3, 4}


def test_a_process_that_ended_has_no_family() -> None:
    assert descendants(9, {1: 0}) == set()


def test_a_status_field_that_is_not_there_is_zero() -> None:
    assert status_kb("VmHWM:\t  2048 kB\nVmRSS:\t 1024 kB\n", "VmRSS") == 1024
    assert status_kb("Name: x\n", "VmRSS") == 0


def test_the_curve_interpolates_and_stays_at_its_ends() -> None:
    curve = CpuCurve()
    for instant, used in ((10.0, 1.0), (12.0, 3.0)):
        curve.add(instant, used)
    assert [curve.at(t) for t in (9.0, 10.0, 11.0, 12.0, 13.0)] == [1.0, 1.0, 2.0, 3.0, 3.0]
    assert curve.between(10.5, 11.5) == pytest.approx(1.0)


def test_the_curve_never_falls_when_a_process_ends() -> None:
    curve = CpuCurve()
    curve.add(1.0, 5.0)
    curve.add(2.0, 0.0)
    assert curve.at(2.0) == 5.0


def test_an_empty_curve_used_nothing() -> None:
    assert CpuCurve().between(1.0, 2.0) == 0.0


def test_this_process_costs_something() -> None:
    assert cpu_seconds([os.getpid()]) > 0
    assert memory_mb([os.getpid()], "VmHWM") >= memory_mb([os.getpid()], "VmRSS") > 1


def test_the_sampler_counts_grandchildren() -> None:
    process = subprocess.Popen([sys.executable, "-c", WORKING_CHILD], start_new_session=True)
    sampler = TreeSampler(process.pid)
    sampler.start()
    try:
        deadline = time.monotonic() + 60
        while sampler.cpu.at(time.time()) < 1.0 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert len(family_of(process.pid)) == 2
    finally:
        sampler.stop()
        os.killpg(process.pid, 9)
        process.wait()
    assert sampler.cpu.used[-1] >= 1.0
    assert sampler.peak_rss_mb > 5
