"""Summary, tables and figures from real runs, failed ones among them."""

import html
import re

import numpy as np
import pandas as pd
import pandera.errors
import pytest

from solvers.runs.archive import ARCHIVE
from solvers.runs.floor import floor_folder
from solvers.runs.record import RecordError, read_history, read_run
from solvers.runs.rows import TARGETS
from solvers.runs.run import run
from tests.conftest import BACKENDS, CATALOGUE, ROOT, smoke_spec
from tests.summaries import summary_of
from workflow.analysis import figures, profiles, register, tables
from workflow.analysis.figures.errors import draw_errors, error_table
from workflow.analysis.figures.terms import draw_losses
from workflow.analysis.statistics import median
from workflow.analysis.summary import contended, read_summary, summarise
from workflow.analysis.writing import write_table


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """heat-0.3 at the smoke scale: both methods, both backends, two seeds; one run diverged."""
    root = tmp_path_factory.mktemp("runs")
    made = []
    for method in ("pinn", "mmpinn"):
        for backend in BACKENDS:
            for seed in (0, 1):
                bad = (method, backend, seed) == ("mmpinn", "jax", 1)
                overrides = ["optimizers.adam.learning_rate=1e6"] if bad else []
                spec = smoke_spec(("heat-0.3", method), backend, "paper", seed=seed, overrides=overrides)
                made.append(root / f"{method}-{backend}-{seed}")
                run(spec, made[-1])
    return made


@pytest.fixture(scope="module")
def summary(folders):
    return summarise(folders, floors=[floor_folder("heat-0.3", ROOT / ARCHIVE)])


def test_every_run_has_its_row(summary, folders):
    assert len(summary) == len(folders)
    assert (summary.status == "diverged").sum() == 1
    assert summary.rel_l2.notna().all()


def test_the_summary_survives_its_file(summary, tmp_path):
    summary.to_csv(tmp_path / "summary.csv", index=False)
    pd.testing.assert_frame_equal(read_summary(tmp_path / "summary.csv"), summary)


def test_a_run_counted_twice_is_refused(folders):
    with pytest.raises(pandera.errors.SchemaError):
        summarise([folders[0], folders[0]])


def test_a_missing_run_is_refused(tmp_path):
    with pytest.raises(RecordError, match=r"run\.json"):
        summarise([tmp_path])


def test_comparison_counts_failures_and_shows_the_authors(summary):
    table = tables.comparison(summary, CATALOGUE)
    assert len(table) == 4
    failed = table[(table.method == "mmpinn") & (table.backend == "jax")].iloc[0]
    assert (failed.finished, failed.runs) == (1, 2)
    assert failed["authors' relative L2"] == 1.610665e-4
    assert failed["authors' iterations"] == 2000 + 3046 + 2 + 2962
    fine = table[(table.method == "pinn") & (table.backend == "torch")].iloc[0]
    ours = summary[(summary.method == "pinn") & (summary.backend == "torch")].rel_l2
    found = [fine[f"relative L2, {which}"] for which in ("median", "minimum", "maximum")]
    assert found == [ours.median(), ours.min(), ours.max()]
    assert fine["iterations, median"] == 20 + 15


def test_ranking_counts_the_pairs_in_the_authors_order(summary):
    """The authors have MMPINN before PINN on heat-0.3; a diverged run's error that is missing comes last."""
    wins = summary.assign(rel_l2=np.where(summary.method == "mmpinn", 1e-4, 1e-3))
    table = tables.ranking(wins, CATALOGUE)
    assert len(table) == len(BACKENDS)
    assert set(table["authors' order"]) == set(table["order here"]) == {"mmpinn;pinn"}
    assert set(table.pairs) == set(table["pairs ordered alike"]) == {1}
    loses = summary.assign(rel_l2=np.where(summary.method == "mmpinn", np.nan, 1e-3))
    table = tables.ranking(loses, CATALOGUE)
    assert set(table["order here"]) == {"pinn;mmpinn"} and set(table["pairs ordered alike"]) == {0}
    unknown = tables.ranking(summary.assign(experiment="heat-0.11"), CATALOGUE)
    assert set(unknown["authors' order"]) == {""} and set(unknown.pairs) == {0}


def test_a_missing_error_is_worse_than_any_other():
    assert median([1.0, np.nan, 2.0]) == 2.0
    assert median([1.0, np.nan, np.nan]) == np.inf
    assert median([1.0, 2.0]) == 1.5
    assert median([np.nan, np.nan]) == np.inf


def test_unknown_numbers_of_the_authors_are_missing(summary):
    moved = summary.assign(experiment="heat-0.11")
    assert tables.comparison(moved, CATALOGUE)["authors' relative L2"].isna().all()


def test_methods_without_lbfgs_show_no_iterations_of_it(summary):
    moved = summary[summary.method == "pinn"].assign(experiment="klein-gordon-5", stage_optimizers="adam")
    assert set(tables.comparison(moved, CATALOGUE)["authors' iterations"]) == {40001}


def test_stages_say_why_they_stopped(summary):
    table = tables.stages(summary, CATALOGUE)
    jax = table[(table.method == "mmpinn") & (table.backend == "jax")]
    assert list(jax.level) == [1, 1, 2, 3]
    assert set(jax.iloc[0]["stop reasons"].split(";")) == {"iteration-limit", "diverged"}
    assert jax.iloc[0]["runs by reason"] == "1;1" and list(jax.runs) == [2, 1, 1, 1]
    assert list(jax["authors' iterations"]) == [2000, 3046, 2, 2962]


def test_tables_are_written_in_four_formats(summary, tmp_path):
    table = tables.comparison(summary, CATALOGUE)
    write_table(table, tmp_path, "comparison")
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".csv", ".html", ".md", ".tex"]
    again = pd.read_csv(tmp_path / "comparison.csv", keep_default_na=False, na_values={"authors' iterations": ""})
    pd.testing.assert_frame_equal(again, table, check_dtype=False, rtol=1e-5)
    for suffix in ("md", "html", "tex"):
        assert "0.000161" in (tmp_path / f"comparison.{suffix}").read_text()


PLAIN, WITH_AXES = register.Shown(()), register.Shown((2, 2))
OF_STUDIES = [one.name for one in register.TABLES if one.applies(PLAIN)]


@pytest.mark.parametrize("name", OF_STUDIES)
def test_every_table_can_be_made_and_read_again(summary, name, tmp_path):
    entry = register.table(name)
    table = entry.load()(summary, CATALOGUE)
    assert entry.caption.endswith(".")
    write_table(table, tmp_path, name, entry.caption)
    again = pd.read_csv(tmp_path / f"{name}.csv")
    assert list(again.columns) == list(table.columns) and len(again) == len(table) > 0
    for suffix in ("html", "md", "tex"):
        assert entry.caption[:20] in (tmp_path / f"{name}.{suffix}").read_text()


def test_tables_show_numbers_and_lead_to_the_runs(tmp_path):
    (tmp_path / "results/a <b>").mkdir(parents=True)
    table = pd.DataFrame(
        {"error": [1.23456789e-4, np.nan, np.inf], "folder": [str(tmp_path / "results/a <b>")] * 3}
    )
    write_table(table, tmp_path / "reports/tables", "small")
    csv, markdown, page = (
        (tmp_path / f"reports/tables/small.{suffix}").read_text() for suffix in ("csv", "md", "html")
    )
    assert "0.000123457," in csv and ",inf" not in markdown
    cells = re.findall(r"<td>(.*?)</td>", page)[::2]
    assert cells == ["0.000123", "-", "inf"]
    link = html.unescape(re.search('href="(.*?)"', page)[1])
    assert (tmp_path / "reports/tables" / link).resolve() == tmp_path / "results/a <b>"
    assert "a <b>" not in page


def test_the_summary_knows_when_a_target_was_first_reached(folders, summary):
    for folder, row in zip(folders, summary.to_dict("records"), strict=True):
        run_ = figures.read_runs([folder])[0]
        for target in TARGETS:
            reached = [h for h in run_.history.to_dict("records") if h["rel_l2"] <= target]
            expected = reached[0]["evaluation"] if reached else np.nan
            assert row[f"evaluations_to_{target:g}"] == pytest.approx(expected, nan_ok=True)
        assert row["startup_seconds"] + row["compile_seconds"] < row["other_seconds"]


def test_times_are_cpu_seconds_with_the_wall_beside_them(folders, summary):
    for folder, row in zip(folders, summary.to_dict("records"), strict=True):
        record, history = read_run(folder), read_history(folder)
        assert row["cpu_seconds"] == record.cpu_seconds["training"] > 0
        assert row["wall_seconds"] == record.seconds["training"] > 0
        drawn = figures.read_runs([folder])[0].history
        ratio = row["cpu_seconds"] / row["wall_seconds"]
        assert drawn.seconds.to_numpy() == pytest.approx(history.seconds.to_numpy() * ratio)
        for target in TARGETS:
            reached = drawn[drawn.rel_l2 <= target].seconds
            expected = reached.iloc[0] if len(reached) else np.nan
            assert row[f"seconds_to_{target:g}"] == pytest.approx(expected, nan_ok=True)


def test_runs_that_waited_are_told_from_those_that_did_not():
    runs = summary_of(
        {"seed": 0, "cpu_seconds": 10.0, "wall_seconds": 11.0},
        {"seed": 1, "cpu_seconds": 10.0, "wall_seconds": 11.1},
        {"seed": 2, "cpu_seconds": 0.0, "wall_seconds": 0.0},
    )
    assert list(contended(runs)) == [False, True, False]
    row = tables.comparison(runs, CATALOGUE).iloc[0]
    assert (row["contended runs"], row["CPU seconds, median"], row["wall seconds, maximum"]) == (1, 10, 11.1)


def test_the_summary_knows_the_precision_of_each_stage(tmp_path):
    overrides = ["levels.1.stages.0.precision=float64"]
    run(smoke_spec(("heat-0.3", "mmpinn"), "jax", "paper", overrides=overrides), tmp_path / "run")
    row = summarise([tmp_path / "run"]).iloc[0]
    assert (row.stage_levels, row.stage_precisions) == ("0;0;1;2", "float32;float32;float64;float32")


DRAWN = {one.name: one for one in register.FIGURES if one.source == register.RUNS and one.applies(PLAIN)}


@pytest.mark.parametrize("name", DRAWN)
def test_figures_have_their_numbers_beside_them(folders, name, tmp_path):
    figure, table = DRAWN[name].load()(figures.read_runs(folders))
    assert DRAWN[name].caption.endswith(".")
    figures.write_figure(figure, table, tmp_path / f"{name}.pdf")
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".csv", ".pdf", ".png"]
    assert (tmp_path / f"{name}.png").stat().st_size > 10_000
    assert len(pd.read_csv(tmp_path / f"{name}.csv")) == len(table) > 0


@pytest.mark.parametrize("name", ["profiles-evaluations", "profiles-seconds"])
def test_profiles_have_their_numbers_beside_them(summary, name, tmp_path):
    draw = register.figure(name).load()
    several = pd.concat([summary.assign(experiment=f"heat-{i}") for i in range(4)], ignore_index=True)
    figure, table = draw(several, CATALOGUE)
    figures.write_figure(figure, table, tmp_path / f"{name}.pdf")
    assert (tmp_path / f"{name}.png").stat().st_size > 10_000
    assert set(table.method) == {"pinn", "mmpinn"} and table.share.between(0, 1).all()
    assert draw(several[several.method == "pinn"], CATALOGUE)[1].empty
    fewer = several[several.experiment != "heat-3"]
    assert draw(fewer, CATALOGUE)[1].empty, "a profile over three problems says more of these than of the methods"


def test_both_backends_start_alike_and_differ_later(folders):
    _, table = profiles.draw_trajectories(figures.read_runs(folders))
    first = table[table.iteration == 0].pivot(index="run", columns="backend", values="objective")
    assert first.torch.to_numpy() == pytest.approx(first.jax.to_numpy(), rel=1e-5)
    assert not (table["differ by 0.001 from iteration"] == 0).any()
    _, table = profiles.draw_differences(figures.read_runs(folders))
    assert table[table.iteration == 0].difference.max() < 1e-5
    assert set(table.method) == {"pinn", "mmpinn"} and set(table.seed) == {0}


def test_different_seeds_are_not_drawn_as_one_start(folders):
    jax, torch = (
        next(folder for folder in folders if folder.name == name) for name in ("pinn-jax-0", "pinn-torch-1")
    )
    runs = figures.read_runs([jax, torch])
    _, table = profiles.draw_trajectories(runs)
    assert set(table.backend) == {"jax"} and table["differ by 0.1 from iteration"].isna().all()
    assert profiles.draw_differences(runs)[1].empty


def test_shares_of_runs_that_have_reached_a_target_grow(folders):
    runs = figures.read_runs(folders)
    table = profiles.reached_table(runs)
    for (_, _, _, target, _), curve in table.groupby(["method", "backend", "numerics", "target", "cost"]):
        assert curve["at"].is_monotonic_increasing and curve.share.is_monotonic_increasing
        spec = curve.iloc[0]
        own = [r for r in runs if (r.record.spec.method, r.record.spec.backend) == (spec.method, spec.backend)]
        assert curve.share.iloc[-1] == np.mean([(run_.history.rel_l2 <= target).any() for run_ in own])


def test_figures_show_methods_with_different_terms_and_networks(tmp_path):
    for method in ("mff", "hard-constraint"):
        run(smoke_spec(("helmholtz-1-8", method), "torch", "paper"), tmp_path / method)
    _, table = draw_losses(figures.read_runs([tmp_path / "mff", tmp_path / "hard-constraint"]))
    terms = table.groupby("method").term.unique().map(set)
    assert dict(terms) == {"mff": {"boundary", "residual"}, "hard-constraint": {"residual"}}


def test_figures_do_not_change_from_one_drawing_to_the_next(folders, tmp_path):
    for name in ("first", "second"):
        figures.write_figure(*draw_errors(figures.read_runs(folders)), tmp_path / name / "errors.pdf")
    for suffix in ("pdf", "png", "csv"):
        assert (tmp_path / f"first/errors.{suffix}").read_bytes() == (
            tmp_path / f"second/errors.{suffix}"
        ).read_bytes()


def test_a_run_that_has_ended_keeps_its_last_error(folders):
    runs = figures.read_runs(folders)
    table = error_table(runs)
    ends = {}
    for run_ in runs:
        spec = run_.record.spec
        ends[spec.method, spec.backend, spec.seed] = run_.history.rel_l2.iloc[-1]
    last = table[table.evaluation == table.evaluation.max()]
    assert len(last) == len(runs)
    for row in last.itertuples():
        assert row.rel_l2 == ends[row.method, row.backend, row.seed]


def test_a_diverged_run_is_marked_in_figures(folders):
    labels = [run_.label for run_ in figures.read_runs(folders)]
    assert sum("diverged" in label for label in labels) == 1
