"""Maps of fields: proportions, planes, colour scales, and figures of a problem with three coordinates."""

import numpy as np
import pytest

from solvers.runs.run import run
from tests.conftest import BACKENDS
from tests.own_problem import own_catalogue
from workflow.analysis import figures, register
from workflow.analysis.figures.maps import cuts, decades, map_height, show_map, value_scale
from workflow.analysis.figures.style import panels

__all__ = ["own_catalogue"]

SQUARE = {"x": np.linspace(0, 1, 5), "y": np.linspace(0, 1, 4)}


def drawn(axes: dict[str, np.ndarray], field: np.ndarray):
    (cut, *_) = cuts(axes)
    _, ((axis,),) = panels(1, 1, map_height(cut, 1))
    mesh = show_map(axis, cut, field, value_scale(field), "title")
    return axis, mesh


def test_the_first_coordinate_runs_to_the_right_unless_there_is_time():
    x, y = np.meshgrid(*SQUARE.values(), indexing="ij")
    axis, mesh = drawn(SQUARE, x + 10 * y)
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("x", "y")
    assert np.array_equal(mesh.get_array(), (x + 10 * y).T)
    axis, mesh = drawn({"x": SQUARE["x"], "t": SQUARE["y"]}, x + 10 * y)
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("t", "x")
    assert np.array_equal(mesh.get_array(), x + 10 * y)


def test_maps_have_true_proportions_but_for_ribbons():
    wide = SQUARE | {"x": np.linspace(0, 3, 5)}
    axis, _ = drawn(wide, np.ones((5, 4)))
    assert axis.get_aspect() == 1
    assert map_height(cuts(wide)[0], 2) < map_height(cuts(SQUARE)[0], 2)
    axis, _ = drawn(SQUARE | {"x": np.linspace(0, 30, 5)}, np.ones((5, 4)))
    assert axis.get_aspect() == "auto"


def test_a_field_of_both_signs_has_zero_in_the_middle():
    signed, positive = value_scale(np.array([-1.0, 3.0])), value_scale(np.array([-0.01, 3.0]))
    assert (signed.norm.vmin, signed.norm.vmax) == (-3, 3) and signed.map != positive.map
    assert (positive.norm.vmin, positive.norm.vmax) == (-0.01, 3)


def test_errors_have_one_scale_in_whole_decades():
    scale = decades([np.full(9, 3e-4), np.full(9, 0.5)])
    assert (scale.norm.vmin, scale.norm.vmax) == pytest.approx((1e-5, 1.0))
    assert decades([np.zeros(3)]).norm.vmin > 0


def test_three_coordinates_are_cut_at_three_times():
    axes = SQUARE | {"t": np.linspace(0, 2, 9)}
    field = np.arange(5 * 4 * 9).reshape(5, 4, 9)
    found = cuts(axes)
    assert [cut.name for cut in found] == ["t = 0.5", "t = 1", "t = 1.5"]
    assert np.array_equal(found[1].of(field), field[:, :, 4]) and list(found[1].axes) == ["x", "y"]
    assert [cut.name for cut in cuts({"x": SQUARE["x"], "y": SQUARE["y"], "z": np.linspace(0, 4, 5)})] == [
        "z = 1",
        "z = 2",
        "z = 3",
    ]


def test_a_problem_with_three_coordinates_is_drawn(own_catalogue, tmp_path):
    for method in ("pinn", "mmpinn"):
        spec = own_catalogue.resolve("plate", method, BACKENDS[0], "paper", "smoke")
        run(spec, tmp_path / "runs" / method)
    runs = figures.read_runs(sorted((tmp_path / "runs").iterdir()))
    for figure in (f for f in register.FIGURES if f.source == register.RUNS and f.applies(register.Shown(()))):
        drawing, table = figure.load()(runs)
        figures.write_figure(drawing, table, tmp_path / f"{figure.name}.pdf")
        assert (tmp_path / f"{figure.name}.png").exists()
        if figure.name in ("fields", "residuals"):
            assert sorted(set(table.t)) == [0.25, 0.5, 0.75]
            assert len(table) == 3 * runs[0].fields["exact"][:, :, 0].size
            titles = " ".join(axis.get_title() for axis in drawing.axes)
            assert "t = 0.25" in titles and "t = 0.75" in titles
