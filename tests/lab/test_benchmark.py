"""scripts/benchmark.py: what it measures is what happens, and machines do not overwrite each other's sections."""

import dataclasses
import os

import numpy as np
import pytest

from scripts.lab.benchmark import (
    PROGRAMS,
    QUICK,
    WORK,
    Figures,
    Laboratory,
    Steps,
    Task,
    openmp_of,
    plot_scaling,
    plot_speed,
    section,
    with_section,
)
from util import loading_torch


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Phase 1 by both programs, and an export."""
    laboratory = Laboratory(QUICK, "-1", tmp_path_factory.mktemp("clips"))
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OMP_NUM_THREADS", "1")
        return [*laboratory.measure([Task("phase 1", "published"), Task("phase 1", "fp32")]),
                *laboratory.measure([Task("export, upsampled", "bf16", people=2, frames=2)], repeats=2)]


def test_figures_of_real_steps_are_plausible(measured):
    published, ours, export = measured
    assert published.speed == 1 and ours.speed > 0
    for figures in measured:
        assert 0 < figures.seconds < 60 and 0 < figures.loading < 60
        assert 1e8 < figures.memory < 1e10
    assert ours.flop == pytest.approx(published.flop, rel=0.1)
    assert ours.reading > 0 and export.flop > 0


def test_a_machines_section_replaces_its_own_and_no_other(measured, tmp_path):
    figures = dict(enumerate(measured, start=1))
    speed = {work: dict(zip(("published", "fp32", "bf16"), measured)) for work in WORK}
    peaks = {(kind, dtype): 1e11 for kind in ("matmul", "conv") for dtype in ("fp32", "bf16")}
    plots = {"speed": "performance/x_speed.svg", "scaling": "performance/x_scaling.svg"}

    def of(machine):
        return section(machine, QUICK, False, 0.0, peaks, speed, figures, figures, figures, plots)

    page = with_section(with_section("# Performance\n\nhow\n", of("CPU")), of("GPU"))
    assert page.startswith("# Performance\n\nhow\n\n## CPU\n") and page.count("\n## ") == 2
    assert with_section(page, of("CPU")) == page
    assert with_section(page, "## CPU\n\nothers\n").replace("## CPU\n\nothers\n", of("CPU")) == page
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert {line.split(" | ")[0] for line in rows} >= {"| phase 1, published", "| export, upsampled, bf16"}

    plot_speed(tmp_path / plots["speed"], speed, "CPU")
    plot_scaling(tmp_path / plots["scaling"], figures, figures, figures)
    for path in plots.values():
        assert "<svg" in (tmp_path / path).read_text()


def test_the_published_schedule_is_counted_in_hours():
    one_second = {program: Figures(1.0, 0, 0, 1, 1) for program in ("published", "fp32", "bf16")}
    peaks = {(kind, dtype): 1.0 for kind in ("matmul", "conv") for dtype in ("fp32", "bf16")}
    text = section("x", QUICK, True, 1.26, peaks, {work: one_second for work in WORK}, {1: one_second["fp32"]},
                   {1: one_second["fp32"]}, {1: one_second["fp32"]}, {"speed": "a", "scaling": "b"})
    assert f"{2500 * 70 / 3600:.3g} hours (published)" in text
    assert "used 1.3 of the machine's cores" in text and "Tiny sizes (--quick)" in text


def test_speed_is_the_median_of_rounds_in_which_each_program_is_alone(tmp_path, monkeypatch):
    seconds = {"published": iter([[4, 4], [6, 6], [9, 9]]), "bf16": iter([[1, 2, 3], [2, 2, 2], [1, 1, 1]])}
    started = []

    def steps(self, task, repeats):
        started.append(task.program)
        taken = np.array([[0, second] for second in next(seconds[task.program])], float)
        return Steps(taken, reading=0.5, flop=8, memory=len(started))

    monkeypatch.setattr(Laboratory, "steps", steps)
    laboratory = Laboratory(dataclasses.replace(QUICK, rounds=3), "-1", tmp_path)
    published, bf16 = laboratory.measure([Task("phase 1", "published"), Task("phase 1", "bf16")])
    assert started == ["published", "bf16"] * 3
    assert (published.seconds, published.speed, published.memory) == (3, 1, 5)  # two frames a step
    assert (bf16.speed, bf16.slowest, bf16.fastest, bf16.seconds, bf16.flop) == (3, 2, 9, 1, 4)


def test_only_our_programs_are_started_with_short_waiting():
    before = {**os.environ}
    for program in PROGRAMS:
        with openmp_of(program):
            assert [name in os.environ for name in loading_torch.SHORT_WAITING] == 2 * [program != "published"]
        assert os.environ == before
