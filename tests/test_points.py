"""Tables and figures of a study with axes, from summaries in which the right answer is known."""

import numpy as np
import pandas as pd
import pytest

from tests.conftest import CATALOGUE
from tests.summaries import seeds_of, summary_of
from workflow.analysis import register
from workflow.analysis.figures import write_figure
from workflow.analysis.figures.points import draw_lines, draw_maps, draw_spreads, page_of
from workflow.analysis.points import points, quartiles
from workflow.analysis.statistics import statistics
from workflow.analysis.summary import SUMMARY, axes_of, read_summary
from workflow.page.columns import MOST
from workflow.page.runs import run_columns

ERRORS = {
    (1, "a"): [1e-3, 2e-3, 4e-3],
    (1, "b"): [1e-2, None, 3e-2],
    (2, "a"): [None, None, None],
    (2, "b"): [1.0],
}


def with_axes(**more) -> pd.DataFrame:
    """A study over ``power`` and ``sampler``; of ``more`` axes each has the same values at every point."""
    tables = []
    for (power, sampler), errors in ERRORS.items():
        for third in more.get("third", [None]):
            own = summary_of(*seeds_of(errors)).assign(power=power, sampler=sampler)
            tables.append(own if third is None else own.assign(third=third))
    return pd.concat(tables, ignore_index=True)


def test_axes_are_columns_and_survive_the_file(tmp_path):
    summary = with_axes()
    assert axes_of(summary) == ["power", "sampler"]
    summary.to_csv(tmp_path / "summary.csv", index=False)
    pd.testing.assert_frame_equal(read_summary(tmp_path / "summary.csv"), summary)


def test_the_table_of_points_counts_failures_and_shows_quartiles():
    table = points(with_axes(), CATALOGUE).set_index(["power", "sampler"])
    assert list(table.seeds) == [3, 3, 3, 1] and list(table.failures) == [0, 1, 3, 0]
    found = table[["error, lower quartile", "error, median", "error, upper quartile"]].to_numpy()
    assert found[0].tolist() == [1e-3, 2e-3, 4e-3]
    assert found[1].tolist() == [1e-2, 3e-2, np.inf] and np.isinf(found[2]).all()
    assert (table["iterations, median"] == 100).all() and (table["CPU seconds, median"] == 10).all()


def test_the_list_of_runs_shows_the_axes_within_eight_columns():
    for axes in ({}, {"third": [1]}):
        heads = [name for name, more in run_columns(with_axes(**axes)) if not more]
        assert len(heads) == MOST and {"method", "power", "sampler", *axes, "seed", "relative L2"} <= set(heads)


def test_quartiles_are_those_of_all_tables():
    assert quartiles([3.0, 1.0, 2.0, 4.0]) == {"median": 2.5, "lower quartile": 1.5, "upper quartile": 3.5}
    assert quartiles([3.0, 1.0, 2.0]) == {"median": 2.0, "lower quartile": 1.0, "upper quartile": 3.0}
    assert quartiles([1.0, np.nan])["upper quartile"] == np.inf


def test_points_are_not_taken_for_seeds():
    table = statistics(with_axes(), CATALOGUE)
    assert list(table.runs) == [3, 3, 3, 1] and list(table.power) == [1, 1, 2, 2]


def test_two_axes_make_a_map_in_which_failures_are_marked(tmp_path):
    figure, table = draw_maps(page_of(with_axes(), "maps"))
    axis = figure.axes[0]
    (image,) = axis.get_images()
    assert np.ma.filled(image.get_array(), np.nan)[0].tolist() == [2e-3, 3e-2]
    assert np.ma.getmaskarray(np.ma.masked_invalid(image.get_array()))[1].tolist() == [True, False]
    assert {text.get_text() for text in axis.texts} == {"0.002", "0.03\n1 of 3 failed", "3 of 3 failed", "1"}
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("sampler", "power")
    write_figure(figure, table, tmp_path / "maps.pdf")
    assert len(pd.read_csv(tmp_path / "maps.csv")) == len(ERRORS)


def test_the_map_of_spreads_is_of_runs_that_finished():
    figure, table = draw_spreads(page_of(with_axes(), "spreads"))
    assert table.spread.tolist()[:2] == [4.0, 3.0] and np.isnan(table.spread[2]) and table.spread[3] == 1
    assert "4" in {text.get_text() for text in figure.axes[0].texts}


@pytest.mark.parametrize(("axis", "ticks"), [("power", None), ("sampler", ["a", "b"])])
def test_one_axis_makes_lines_with_the_spread_of_the_seeds(axis, ticks, tmp_path):
    other = "sampler" if axis == "power" else "power"
    summary = with_axes()
    one = summary[summary[other] == summary[other].iloc[0]].drop(columns=other)
    figure, table = draw_lines(page_of(one, "lines"))
    (line, *_) = figure.axes[0].get_lines()
    assert line.get_ydata()[0] == 2e-3 and len(line.get_ydata()) == 2
    if ticks:
        assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ticks
    write_figure(figure, table, tmp_path / "lines.pdf")


def test_further_axes_make_a_figure_for_each_of_their_points():
    summary = with_axes(third=["x", "y"])
    figure = register.figure("maps-2")
    assert figure.name == "maps" and figure.names(register.Shown((2, 2, 2))) == ["maps-1", "maps-2"]
    page = page_of(summary, "maps-2")
    assert page.fixed == {"third": "y"} and page.axes == ["power", "sampler"] and set(page.rows.third) == {"y"}
    assert draw_maps(page)[0].get_suptitle() == "third = y"


def test_the_register_knows_what_belongs_to_which_study():
    plain, one, two = (register.Shown(axes) for axes in ((), (3,), (2, 2)))
    drawn = {shown: {f.name for f in register.FIGURES if f.applies(shown)} for shown in (plain, one, two)}
    assert "overview" in drawn[plain] and not drawn[plain] & drawn[two]
    assert drawn[one] == {"choices", "lines"} and drawn[two] == {"choices", "maps", "spreads"}
    made = {shown: {t.name for t in register.TABLES if t.applies(shown)} for shown in (plain, two)}
    assert "verdicts" in made[plain] - made[two] and "points" in made[two] - made[plain]


@pytest.mark.parametrize("entry", [*register.TABLES, *register.FIGURES], ids=lambda entry: entry.name)
def test_every_entry_of_the_register_can_be_loaded_and_is_captioned(entry):
    assert callable(entry.load()) and len(entry.caption) > 40 and entry.caption.endswith((".", "0.1"))


def test_no_axis_may_have_the_name_of_a_column():
    assert set(SUMMARY.columns) <= register.COLUMNS
