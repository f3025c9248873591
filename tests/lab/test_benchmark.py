"""scripts/benchmark.py: what it measures is what happens, and machines do not overwrite each other's sections."""

import multiprocessing

import pytest

from scripts.lab.benchmark import (
    QUICK,
    WORK,
    Figures,
    Laboratory,
    Task,
    plot_scaling,
    plot_speed,
    section,
    with_section,
)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Phase 1 by both programs, and an export."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "models.lnr_model"])
    laboratory = Laboratory(context, QUICK, "-1", tmp_path_factory.mktemp("clips"))
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
        return section(machine, QUICK, False, peaks, speed, figures, figures, figures, plots)

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
    text = section("x", QUICK, True, {(kind, dtype): 1.0 for kind in ("matmul", "conv") for dtype in ("fp32", "bf16")},
                   {work: one_second for work in WORK}, {1: one_second["fp32"]}, {1: one_second["fp32"]},
                   {1: one_second["fp32"]}, {"speed": "a", "scaling": "b"})
    assert f"{2500 * 70 / 3600:.3g} hours (published)" in text
