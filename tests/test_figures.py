"""Figures: residuals from saved weights, terms and their weights, runs that lack files."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

from solvers import backends
from solvers.configuration.assembly import build_model
from solvers.model.networks.base import unflatten
from solvers.model.terms import CollocationPoints, build_terms
from solvers.runs.run import give_up, run
from tests.conftest import BACKENDS, CATALOGUE, build, smoke_spec
from workflow.analysis import figures, profiles, register
from workflow.analysis.figures.errors import error_table
from workflow.analysis.figures.overview import draw_overview
from workflow.analysis.figures.residuals import pointwise_residual
from workflow.analysis.figures.runs import by_panel, lowest_seeds, named
from workflow.analysis.figures.terms import draw_balance, draw_losses, draw_subdomains
from workflow.analysis.summary import summarise

GROUPED = ("pulse", "mmpinn-grs")
PLAIN = register.Shown(())
DRAWN = {f.name: f.load() for f in register.FIGURES if f.source == register.RUNS and f.applies(PLAIN)}
CURVES = [name for name, draw in DRAWN.items() if draw.__module__ == profiles.__name__]
NOTED = [name for name in DRAWN if name not in CURVES]


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> list[Path]:
    """heat-0.3 at the smoke scale: MMPINN on both backends with two seeds, PINN on one with one."""
    root = tmp_path_factory.mktemp("runs")
    made = []
    for method, backend, seed in [("mmpinn", b, s) for b in BACKENDS for s in (0, 1)] + [("pinn", BACKENDS[0], 1)]:
        made.append(root / f"{method}-{backend}-{seed}")
        run(smoke_spec(("heat-0.3", method), backend, "paper", seed=seed), made[-1])
    return made


def shown_text(figure) -> str:
    return " ".join(text.get_text() for text in figure.texts).replace("\n", " ")


def test_the_pointwise_residual_is_that_of_the_backends(physics, tmp_path):
    """Its mean square over any points is the term that a backend computes there."""
    spec = smoke_spec(physics, "torch")
    problem, _, theta = build(spec)
    model = build_model(spec, problem)
    save_file(
        {f"last/{k}": v for k, v in unflatten(theta, model.shapes).items()}, tmp_path / "weights.safetensors"
    )
    points = np.random.default_rng(0).uniform(problem.lower, problem.upper, (60, problem.dimension))
    residual = pointwise_residual(tmp_path, spec, problem, points)
    terms = build_terms([CollocationPoints("residual", problem.residual, points)])
    (term,), _ = backends.load("torch")(model, terms, "float64").terms_and_gradients(theta)
    assert np.mean(residual**2) == pytest.approx(float(term), rel=1e-9)


def test_the_balance_shows_the_pull_of_every_term(folders):
    _, table = draw_balance(figures.read_runs(folders))
    assert set(table.term) == {"initial", "boundary", "residual"}
    assert (table["weight x gradient norm"] - table.weight * table["gradient norm"]).abs().max() == 0
    powers = table[(table.method == "mmpinn") & (table.term == "residual") & (table.level == 0)]
    assert (powers.weight < 1).all(), "a root of a large residual weighs it down"
    assert (table[table.method == "pinn"].weight == 1).all()


def test_residuals_are_shown_by_subdomain(tmp_path):
    for method in (GROUPED, ("pulse", "pinn")):
        run(smoke_spec(method, "torch", "paper"), tmp_path / method[1])
    runs = figures.read_runs(sorted(tmp_path.iterdir()))
    figure, table = draw_subdomains(runs)
    groups = CATALOGUE.experiment("pulse").methods[GROUPED[1]].grouping["boxes"]
    assert set(table.term) == {f"residual.{group}" for group in groups} and set(table.method) == {GROUPED[1]}
    assert len(figure.axes) == len(groups)


@pytest.mark.parametrize("against", ["iteration", "evaluation", "seconds"])
def test_errors_stand_against_every_cost(folders, against):
    runs = figures.read_runs(folders)
    table = error_table(runs, against)
    assert table.groupby(["method", "backend", "seed"]).size().nunique() == 1
    for one in runs:
        own = table[(table[list(one.axes)] == pd.Series(one.axes)).all(axis=1)]
        before = one.history[one.history[against] <= own[against].iloc[50]]
        assert own.rel_l2.iloc[50] == before.rel_l2.iloc[-1]


def without(folders: list[Path], target: Path, lacking: int, files: tuple[str, ...]) -> list[figures.Run]:
    """The runs, of which one lacks some files."""
    copies = [Path(shutil.copytree(folder, target / folder.name)) for folder in folders]
    for name in files:
        (copies[lacking] / name).unlink()
    return figures.read_runs(copies)


FILES = ("history.parquet", "fields.npz", "weights.safetensors")


@pytest.mark.parametrize("name", NOTED)
def test_a_run_that_lacks_files_is_named_below_the_figure(folders, name, tmp_path):
    runs = without(folders, tmp_path, -1, FILES)
    figure, table = DRAWN[name](runs)
    assert "pinn, " in shown_text(figure) and "seed 1" in shown_text(figure)
    assert len(table)
    whole, _ = DRAWN[name](figures.read_runs(folders))
    assert "Not shown" not in shown_text(whole)


@pytest.mark.parametrize("name", DRAWN)
def test_figures_of_an_experiment_without_any_history_are_empty(folders, name, tmp_path):
    runs = without(folders[-1:], tmp_path, 0, FILES)
    figure, table = DRAWN[name](runs)
    figures.write_figure(figure, table, tmp_path / f"{name}.pdf")
    assert (tmp_path / f"{name}.png").exists()
    assert not len(table) or not table.share.any(), "shares of runs may be known, and are zero"


@pytest.mark.parametrize("name", DRAWN)
def test_a_run_that_was_given_up_leaves_the_others_drawn(folders, name, tmp_path):
    """It has all its files, without an iterate or a field in them."""
    spec = smoke_spec(("heat-0.3", "pinn"), BACKENDS[1], "paper", seed=1)
    give_up(spec, tmp_path / "given-up", "its process was killed 4 times")
    figure, table = DRAWN[name](figures.read_runs([*folders, tmp_path / "given-up"]))
    figures.write_figure(figure, table, tmp_path / f"{name}.pdf")
    assert len(table)


@pytest.mark.parametrize("name", CURVES)
def test_costs_and_trajectories_survive_a_run_that_lacks_files(folders, name, tmp_path):
    _, table = DRAWN[name](without(folders, tmp_path, 0, FILES))
    assert "mmpinn" in set(table.method)


def test_a_run_without_a_history_is_infinitely_wrong(folders, tmp_path):
    runs = without(folders, tmp_path, 0, FILES)
    table = error_table(runs)
    own = table[(table[list(runs[0].axes)] == pd.Series(runs[0].axes)).all(axis=1)]
    assert np.isinf(own.rel_l2).all()


def test_the_lowest_seed_of_each_method_is_shown(folders):
    runs = figures.read_runs(folders)
    assert [one.record.spec.seed for one in lowest_seeds(runs)] == [0, 0, 1]
    assert list(by_panel(runs)) == ["MMPINN", "PINN"]
    assert named(runs[:2]) == f"mmpinn, {BACKENDS[0]}, paper: seeds 0, 1"


def test_what_became_of_a_run_stands_in_its_panel(folders):
    runs = figures.read_runs(folders)
    bad = replace(runs[-1], record=runs[-1].record.model_copy(update={"status": "diverged"}))
    figure, _ = draw_losses([*runs[:-1], bad])
    assert f"PINN ({BACKENDS[0]} diverged)" in [axis.get_title() for axis in figure.axes]


def test_the_overview_has_every_run_and_the_authors(folders):
    summary = summarise(folders)
    summary.loc[0, "rel_l2"] = np.nan
    figure, table = draw_overview(summary, CATALOGUE)
    assert len(table) == len(folders)
    authors = CATALOGUE.experiment("heat-0.3").methods["mmpinn"].authors.rel_l2
    assert set(table[table.method == "mmpinn"].authors) == {authors}
    points = sum(len(collection.get_offsets()) for collection in figure.axes[0].collections)
    assert points == 2 * len(folders), "a failed run has its mark, too"
