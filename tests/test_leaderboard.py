"""Tables and figures of a leaderboard, on runs whose right answer is known."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.conftest import CATALOGUE
from tests.summaries import seeds_of, summary_of
from workflow.analysis import register
from workflow.analysis.bands import BANDS, bands, spectrum
from workflow.analysis.entries import counted, with_entries
from workflow.analysis.figures.courses import draw_effective_weights
from workflow.analysis.figures.points import page_of
from workflow.analysis.figures.style import write_figure
from workflow.analysis.leaderboard import leaderboard, ranked, ranks
from workflow.analysis.pareto import front, pareto
from workflow.analysis.protocol import DEVIATES, conditions, protocol
from workflow.analysis.subject import ALL, mmpinn
from workflow.analysis.summary import SUMMARY
from workflow.page.ranks import ranks_told
from workflow.page.subject import mmpinn_told
from workflow.readme.studies import FOLDER, studies_block

PROBLEMS = ("heat-0.3", "heat-0.15", "pulse", "helmholtz-1-8")
DEMSAR = """
0.763 0.768 0.771 0.798  0.599 0.591 0.590 0.569  0.954 0.971 0.968 0.967  0.628 0.661 0.654 0.657
0.882 0.888 0.886 0.898  0.936 0.931 0.916 0.931  0.661 0.668 0.609 0.685  0.583 0.583 0.563 0.625
0.775 0.838 0.866 0.875  1.000 1.000 1.000 1.000  0.940 0.962 0.965 0.962  0.619 0.666 0.614 0.669
0.972 0.981 0.9751 0.975  0.957 0.978 0.946 0.970
"""
"""Table 6 of Demsar, Statistical comparisons of classifiers over multiple data sets, JMLR 7 (2006): the areas
under the curve of C4.5, with m, with cf, and with both, on 14 data sets. Two that the table rounds to a tie, and
its ranks do not, differ here in a fourth digit."""


def study(errors: dict[str, dict[str, list[float | None]]], **also: object) -> pd.DataFrame:
    """A summary of an axis ``entry``: errors by problem and entry, seed by seed."""
    runs = [
        run | also | {"entry": entry}
        for problem, entries in errors.items()
        for entry, own in entries.items()
        for run in seeds_of(own, experiment=problem, method="pinn")
    ]
    return of_entries(runs)


def of_entries(runs: list[dict]) -> pd.DataFrame:
    plain = summary_of(
        *({k: v for k, v in run.items() if k != "entry"} | {"seed": i} for i, run in enumerate(runs))
    )
    return plain.assign(seed=[run["seed"] for run in runs], entry=[run["entry"] for run in runs])


def test_an_entry_is_a_method_a_point_or_both():
    plain = summary_of({"method": "pinn"}, {"method": "mmpinn"})
    assert list(with_entries(plain).entry) == ["pinn", "mmpinn"]
    points = plain.iloc[:1].assign(rule="sum", power=2)
    assert list(with_entries(points.drop(columns="power")).entry) == ["sum"]
    assert list(with_entries(points).entry) == ["rule = sum, power = 2"]
    assert list(with_entries(plain.assign(rule=["sum", "lra"])).entry) == ["pinn, sum", "mmpinn, lra"]


def test_ranks_and_critical_difference_are_those_of_demsars_example():
    areas = np.array(DEMSAR.split(), dtype=float).reshape(14, 4)
    runs = pd.DataFrame(
        [
            {"experiment": str(i), "entry": name, "error": 2 - area}
            for i, row in enumerate(areas)
            for name, area in zip(("C4.5", "m", "cf", "both"), row, strict=True)
        ]
    )
    found = ranked(runs)
    assert list(found.mean.index) == ["both", "m", "cf", "C4.5"]
    np.testing.assert_allclose(found.mean, [1.964, 2.000, 2.893, 3.143], atol=5e-4)
    assert found.critical == pytest.approx(1.25, abs=0.005)  # the paper has 1.25
    assert found.chi_square == pytest.approx(10.2283, abs=1e-4), (
        "9.28 in the paper, without the correction for ties"
    )
    assert found.p == pytest.approx(0.01672, abs=1e-5) and found.nemenyi(found.critical) == pytest.approx(
        0.05, abs=1e-6
    )
    assert found.tied() == [(0, 3)], "no two of them are 1.25 apart"
    assert found.nemenyi(0) == pytest.approx(1)


def test_only_what_all_were_run_on_is_ranked():
    errors = {p: {"a": [1e-3], "b": [2e-3], "c": [3e-3]} for p in PROBLEMS[:3]}
    errors["helmholtz-1-8"] = {"a": [1e-3]}
    found = ranked(counted(study(errors)))
    assert found.problems == 3 and list(found.mean) == [1, 2, 3]
    errors = {
        p: {"a": [1e-3], "b": [2e-3], "c": [3e-3]} | ({"d": [1.0]} if i else {}) for i, p in enumerate(PROBLEMS)
    }
    errors["pulse"].pop("c"), errors["helmholtz-1-8"].pop("d")
    assert ranked(counted(study(errors))) is None, "two entries on all problems"
    assert list(ranks(study(errors), CATALOGUE)) == ["note"] and ranks_told(ranks(study(errors), CATALOGUE)) == []


def test_failures_trials_and_ties():
    summary = study(
        {"heat-0.3": {"a": [1e-3, 2e-3, None], "b": [5.0, 7.0, None], "c": [None] * 3, "d": [4e-3] * 3}}
    ).assign(floor_rel_l2=1e-9)
    trial = summary.iloc[:1].assign(seed=1000, rel_l2=1e-9)
    table = leaderboard(pd.concat([summary, trial]), CATALOGUE)
    assert list(table.seeds) == [3] * 4 and list(table.failed) == [1, 1, 3, 0] and list(table.lost) == [1, 3, 3, 0]
    assert list(table["median"]) == [2e-3, 7.0, np.inf, 4e-3]
    assert list(table["rank"]) == [1, 3.5, 3.5, 2], "both count as 100 %"
    np.testing.assert_allclose(table["over the best"], [1, 500, 500, 2])
    assert set(table.floor) == {1e-9} and set(table["paper's best"]) == {1.610665e-4}


def test_each_problem_has_its_own_floor():
    summary = study({problem: {"a": [1e-3], "b": [2e-3]} for problem in PROBLEMS[:2]})
    floors = dict(zip(PROBLEMS, (1e-9, 1e-7), strict=False))
    table = leaderboard(summary.assign(floor_rel_l2=summary.experiment.map(floors)), CATALOGUE)
    assert dict(zip(table.experiment, table.floor, strict=True)) == floors


def test_what_the_tests_decide_is_told():
    apart = {p: {f"e{i}": [1e-3 * 2**i * (1 + j / 100)] for i in range(6)} for j, p in enumerate(PROBLEMS)}
    table = ranks(study(apart), CATALOGUE)
    assert list(table.entry) == [f"e{i}" for i in range(6)] and list(table["mean rank"]) == [1, 2, 3, 4, 5, 6]
    np.testing.assert_allclose(table.regret, [2**i for i in range(6)])
    (told,) = ranks_told(table)
    assert told.startswith("6 entries on 4 problems (jax, numerics paper): 24 runs, of which none failed")
    assert "The smallest mean rank, 1, has e0, the best on 4, with 1 times the error" in told
    assert "Nemenyi's test puts 2 entries behind it, and does not tell it from e1, e2, e3." in told
    even = study({p: {"a": [1e-3], "b": [1e-3], "c": [1e-3]} for p in PROBLEMS})
    assert "no difference between them is beyond chance (p = 1)" in ranks_told(ranks(even, CATALOGUE))[0]


def rules(ratios: dict[str, dict[str, float]], seeds: int = 4) -> pd.DataFrame:
    """MMPINN's error over the sum's by optimizer and problem, both with a spread over the seeds of their own."""
    wobble = [1 + 0.02 * (-1) ** seed * (1 + seed) for seed in range(seeds)]
    errors: dict[str, dict[str, list[float | None]]] = {}
    for optimizer, own in ratios.items():
        for problem, ratio in own.items():
            entries = errors.setdefault(problem, {})
            entries[f"sum+{optimizer}"] = [1e-2] * seeds
            entries[f"mmpinn+{optimizer}"] = [1e-2 * ratio * w for w in wobble]
            entries[f"other+{optimizer}"] = [1e-4 * w for w in reversed(wobble)]
    return study(errors)


def test_where_mmpinn_wins_loses_and_what_it_is_worth_with_curvature():
    lbfgs = dict(zip(PROBLEMS, (0.1, 0.2, 0.1, 5.0), strict=True))
    factors = zip(lbfgs.items(), (8.0, 12.5, 10.0, 10.0), strict=True)
    summary = rules({"lbfgs": lbfgs, "bfgs": {problem: factor * ratio for (problem, ratio), factor in factors}})
    table = mmpinn(summary, CATALOGUE).set_index(["optimizer", "experiment"])
    np.testing.assert_allclose(table.ratio["lbfgs"][list(PROBLEMS)], list(lbfgs.values()), rtol=0.02)
    own = np.log(table.ratio["lbfgs"][list(PROBLEMS)])
    assert table.ratio["lbfgs", ALL] == pytest.approx(np.exp(own.mean()))
    assert table.change["bfgs", ALL] == pytest.approx(10) and np.isnan(table.change["lbfgs", ALL])
    assert table["change, problems"]["bfgs", ALL] == 4
    assert set(table["others smaller"]["lbfgs"].dropna()) == {1} and set(
        table["others larger"]["lbfgs"].dropna()
    ) == {0}
    wins, loses, worth = mmpinn_told(mmpinn(summary, CATALOGUE))
    assert wins.startswith("Where MMPINN wins (jax, numerics paper, 4 seeds): under Adam and L-BFGS its error")
    ratio = table.ratio["lbfgs"]
    assert (
        f"beyond chance on 3 of 4 problems (heat-0.3 {ratio['heat-0.3']:.3g} [95 %: " in wins
        and "helmholtz" not in wins
    )
    assert (
        f"over all problems it is {ratio[ALL]:.3g} [95 %: 0.0" in wins
        and "within chance (t test over the problems" in wins
    )
    assert f"beyond chance on 1 of 4 problems (helmholtz-1-8 {ratio['helmholtz-1-8']:.3g} [95 %: " in loses
    assert "of up to 1 other entries under this optimizer, beyond chance: heat-0.3 1 smaller, 0 larger;" in loses
    assert "from Adam and L-BFGS to Adam and BFGS this ratio changes by a factor of 10 " in worth
    assert "beyond chance (paired t test over 4 problems" in worth


def test_the_document_of_studies_begins_with_them(tmp_path):
    (tmp_path / FOLDER).mkdir(parents=True)
    summary = rules({"lbfgs": dict(zip(PROBLEMS, (0.1, 0.2, 0.1, 5.0), strict=True))})
    summary.to_csv(tmp_path / FOLDER / "board.csv", index=False)
    first, *_ = [line for line in studies_block(CATALOGUE, tmp_path).splitlines() if line.startswith("* ")]
    assert first.startswith("* Where MMPINN wins (jax, numerics paper, 4 seeds): under Adam and L-BFGS")


def test_nothing_is_said_of_mmpinn_that_the_data_do_not_have():
    one_seed = mmpinn(rules({"lbfgs": dict.fromkeys(PROBLEMS, 0.1)}, seeds=1), CATALOGUE)
    assert mmpinn_told(one_seed) == []
    no_curvature = mmpinn_told(mmpinn(rules({"lbfgs": dict.fromkeys(PROBLEMS, 0.1)}), CATALOGUE))
    assert [text.partition(" (")[0] for text in no_curvature] == ["Where MMPINN wins", "Where it loses"]
    without = study({p: {"sum+lbfgs": [1e-3], "lra+lbfgs": [1e-3]} for p in PROBLEMS})
    assert list(mmpinn(without, CATALOGUE)) == ["note"] and mmpinn_told(mmpinn(without, CATALOGUE)) == []


def test_the_modes_of_a_known_error():
    """Half waves at the nodes of the DCT: each a single mode; the bands of an error are orthogonal."""
    n = 128
    at = (np.arange(n) + 0.5) / n
    wave = {k: np.cos(np.pi * k * at) for k in (1, 8, 40, 100)}
    exact = np.outer(wave[1], wave[8])
    wrong = (
        0.3 * np.outer(wave[8], wave[1]) + 0.04 * np.outer(wave[1], wave[40]) + 0.1 * np.outer(wave[100], wave[1])
    )
    found = spectrum({"exact": exact, "predicted": exact + wrong})
    errors = [found[f"error, {band}"] for band in BANDS]
    np.testing.assert_allclose(errors, [0, 0.3, 0.04, 0.1], atol=1e-12)
    assert np.linalg.norm(errors) == pytest.approx(np.linalg.norm(wrong) / np.linalg.norm(exact))
    np.testing.assert_allclose([found[f"solution, {band}"] for band in BANDS], [0, 1, 0, 0], atol=1e-12)
    assert found["of its own, 4 to 16"] == pytest.approx(0.3) and np.isnan(found["of its own, 16 to 64"])


def test_a_front_has_what_nothing_else_beats():
    cost, error = np.array([1.0, 2, 3, 3, 2]), np.array([1.0, 0.5, 0.5, 0.1, 0.6])
    assert list(front(cost, error)) == [True, True, False, True, False]
    assert list(front(np.ones(2), np.ones(2))) == [True, True]


@pytest.fixture
def made(tmp_path: Path) -> pd.DataFrame:
    """Runs of three entries on two problems and two seeds, with specification, history and fields; the third is
    twice as wide, and the second failed on one seed. Errors are 1 over the evaluations, ten and a hundred times
    that."""
    runs = []
    for problem in ("heat-0.3", "pulse"):
        for i, entry in enumerate(("sum+lbfgs", "lra+lbfgs", "wide+lbfgs")):
            for seed in (0, 1):
                failed = i == 1 and seed == 1
                folder = tmp_path / problem / entry / str(seed)
                folder.mkdir(parents=True)
                width = ["network.width=40"] if i == 2 else []
                spec = CATALOGUE.resolve(problem, "board-1-3", "jax", scale="quick", overrides=width)
                text = json.dumps({"schema_version": 1, "spec": spec.model_dump(mode="json")})
                (folder / "run.json").write_text(text)
                history = pd.DataFrame({"evaluation": [0, 125, 250, 500, 1000]})
                history["rel_l2"] = 10.0**i / np.maximum(history.evaluation, 1)
                history["seconds"] = history.evaluation / 100
                history["weight.residual"], history["weight.boundary"] = 0.5, np.linspace(1, 2 + i, 5)
                history.to_parquet(folder / "history.parquet")
                grid = np.cos(np.pi * (np.arange(64) + 0.5) / 64)
                np.savez(folder / "fields.npz", x=grid, exact=grid, predicted=grid * (1 + 10.0**i / 1000))
                run = {
                    "experiment": problem,
                    "method": "board-1-3",
                    "seed": seed,
                    "entry": entry,
                    "folder": str(folder),
                }
                run |= {
                    "rel_l2": 10.0**i / 1000,
                    "function_evaluations": 1000,
                    "cpu_seconds": 20.0,
                    "wall_seconds": 10.0,
                }
                runs.append(run | ({"status": "diverged", "rel_l2": np.nan} if failed else {}))
    return of_entries(runs)


def test_pareto_reads_what_was_reached_on_the_way(made):
    table = pareto(made, CATALOGUE).set_index(["entry", "share"])
    np.testing.assert_allclose(table.error["sum+lbfgs"], [1 / 125, 1 / 250, 1 / 500, 1 / 1000])
    np.testing.assert_allclose(table["CPU seconds"]["sum+lbfgs"], [2.5, 5, 10, 20])  # 2 CPU for a wall second
    np.testing.assert_allclose(table.error["wide+lbfgs"], [100 / 125, 100 / 250, 0.2, 0.1])
    assert list(table["front, evaluations"]) == [True] * 4 + [False] * 8
    assert table.error["lra+lbfgs", 1.0] == pytest.approx((0.01 + 1) / 2), "one of its two seeds failed"


def test_bands_are_medians_of_the_seeds_that_finished(made):
    table = bands(made, CATALOGUE).set_index(["experiment", "entry"])
    assert dict(table.seeds["pulse"]) == {"sum+lbfgs": 2, "lra+lbfgs": 1, "wide+lbfgs": 2}
    np.testing.assert_allclose(table["error, 0 to 4"]["pulse"], [1e-3, 1e-2, 0.1])


def test_what_deviates_from_the_protocol_is_named_and_stays(made):
    table = protocol(made, CATALOGUE)
    assert len(table) == 6 and set(table["evaluations allowed"]) == {2000} and set(table.seeds) == {"0;1"}
    assert dict(table.set_index(["experiment", "entry"])[DEVIATES]["pulse"]) == {
        "sum+lbfgs": "",
        "lra+lbfgs": "",
        "wide+lbfgs": "network",
    }
    over = made.assign(function_evaluations=[2041 if e == "lra+lbfgs" else 2003 for e in made.entry])
    fewer = over[~((over.entry == "sum+lbfgs") & (over.seed == 1) & (over.experiment == "pulse"))]
    found = protocol(fewer, CATALOGUE).set_index(["experiment", "entry"])[DEVIATES]
    assert found["heat-0.3", "lra+lbfgs"] == "evaluations" and found["pulse", "sum+lbfgs"] == "seeds"
    trials = pd.concat([made, made[made.entry == "sum+lbfgs"].iloc[:1].assign(seed=1000)])
    found = protocol(trials, CATALOGUE).set_index(["experiment", "entry"])
    assert found[DEVIATES]["heat-0.3", "sum+lbfgs"] == "trials" and found.trials["heat-0.3", "sum+lbfgs"] == 1
    mixed = made.assign(entry=made.entry.replace("wide+lbfgs", "lra+lbfgs"), seed=range(len(made)))
    assert "runs" in protocol(mixed, CATALOGUE)[DEVIATES].iloc[1]


@pytest.mark.parametrize(
    ("override", "name"),
    [
        ("points.residual.strategy=uniform", "points"),
        ("network.depth=2", "network"),
        ("inputs=raw", "network"),
        ("trial=hard-constraint", "network"),
        ("levels.2.stages.0.precision=float64", "precision"),
        ("levels.1.stages.0.evaluations=100", "evaluations allowed"),
    ],
)
def test_a_specification_shows_each_condition(override, name):
    plain, other = (
        conditions(CATALOGUE.resolve("heat-0.3", "board-1-3", "jax", overrides=o).model_dump(mode="json"))
        for o in ([], [override])
    )
    assert {key for key in plain if plain[key] != other[key]} - {"points"} == {name} - {"points"}
    assert plain[name] != other[name]


@pytest.mark.parametrize("name", ["heat-map", "critical-differences", "pareto", "bands", "profiles-evaluations"])
def test_the_figures_are_drawn(made, name, tmp_path):
    figure, table = register.figure(name).load()(made, CATALOGUE)
    rows = {"heat-map": 6, "critical-differences": 3, "pareto": 12, "bands": 6, "profiles-evaluations": 0}
    assert len(table) == rows[name]
    write_figure(figure, table, tmp_path / f"{name}.pdf")


def test_a_heat_map_says_every_error_and_failure(made):
    figure, _ = register.figure("heat-map").load()(made, CATALOGUE)
    told = [text.get_text() for text in figure.axes[0].texts]
    assert told.count("1.0e-03") == 2 and told.count("1.0e-01") == 2
    assert told.count("failed ×1") == 2, "of two seeds one failed: there is no median"
    lines = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert lines == ["sum+lbfgs", "wide+lbfgs", "lra+lbfgs", "paper's best", "floor"]


def test_profiles_of_a_study_are_of_its_points():
    errors = {p: {f"e{i}": [1e-3 * 2**i] for i in range(14)} for p in PROBLEMS}
    _, table = register.figure("profiles-evaluations").load()(study(errors), CATALOGUE)
    assert set(table.method) == {f"e{i}" for i in range(12)}, "twelve of the fourteen"
    own = register.table("profiles").load()(study(errors), CATALOGUE)
    first = own[(own.entry == "e1") & (own.cost == "final error")].iloc[0]
    assert (first["within 1 x"], first["within 2 x"]) == (0, 1)


def test_all_effective_weights_of_a_problem_in_one_figure(made):
    own = made[made.experiment == "pulse"]
    adam = own.iloc[:1].assign(entry="sum+adam")
    figure, table = draw_effective_weights(page_of(pd.concat([own, adam]), "effective-weights"))
    assert set(table.term) == {"residual", "boundary"} and set(table.entry) == set(own.entry)
    ends = table[(table.term == "boundary") & (table.evaluation == 1000)].set_index("entry").weight
    assert dict(ends) == {"sum+lbfgs": 2, "lra+lbfgs": 3, "wide+lbfgs": 4}
    assert len(figure.axes) == 2


def test_leaderboards_are_of_studies_that_compare_on_several_problems():
    many = {"experiments": 2, "names": ("entry",)}
    shown = {
        "one problem": register.Shown((3,), names=("entry",)),
        "methods": register.Shown((), experiments=2, methods=2),
        "one method": register.Shown((), experiments=2),
        "points": register.Shown((3,), **many),
    }
    made = {name: {t.name for t in register.TABLES if t.applies(each)} for name, each in shown.items()}
    boards = {"leaderboard", "ranks", "protocol", "pareto", "bands"}
    assert boards <= made["points"] & made["methods"] and not boards & (made["one problem"] | made["one method"])
    assert "mmpinn" in made["points"] - made["methods"]
    assert not {"rank", "entry"} & set(SUMMARY.columns)
