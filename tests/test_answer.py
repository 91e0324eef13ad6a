"""What a report says in the terminal, what a pipeline announces, and which archived runs are made again."""

import pandas as pd
import pytest

from solvers.configuration.catalogue import Catalogue
from tests.summaries import seeds_of, summary_of
from workflow import announce, answer, recheck
from workflow.analysis import register
from workflow.analysis.beyond import beyond
from workflow.analysis.writing import write_table
from workflow.page.beyond import beyond_in
from workflow.sweep import Sweep


def report_of(folder, summary, names):
    """The folder of a report with these tables of a summary."""
    folder.mkdir(parents=True, exist_ok=True)
    summary.to_csv(folder / "summary.csv", index=False)
    for name in names:
        table = register.table(name)
        write_table(table.load()(summary, Catalogue()), folder / "tables", name)
    return folder


def test_a_report_under_the_papers_conditions_tells_verdicts_and_claims(tmp_path, capsys):
    runs = [
        *seeds_of([1.2, 1.3, 1.1], experiment="heat-0.15", method="pinn"),
        *seeds_of([1e-3, 1.1e-3, 1.2e-3], experiment="heat-0.15", method="mmpinn"),
    ]
    folder = report_of(tmp_path, summary_of(*runs), ["verdicts", "claims", "beyond"])
    assert answer.main([str(folder)]) == 0
    told = capsys.readouterr().out
    assert "1 reproduced" in told and "1 failed as in the paper" in told
    assert "errors from above 100 % fall below 1 %" in told


def test_at_another_scale_no_verdict_is_told(tmp_path):
    runs = summary_of(*seeds_of([1e-3] * 3, scale="quick"))
    folder = report_of(tmp_path, runs, ["verdicts", "claims", "ranking"])
    told = list(answer.sentences(folder))
    assert told and not [line for line in told if "reproduced" in line]


def test_a_folder_without_a_report_is_named(tmp_path, capsys):
    assert answer.main([str(tmp_path)]) == 1
    assert str(tmp_path) in capsys.readouterr().err


def test_methods_beyond_the_paper_are_judged_by_their_worst_run(tmp_path):
    runs = [
        *seeds_of([1e-7, 3e-6, 2e-6], experiment="heat-0.15", method="bfgs"),
        *seeds_of([1e-6, 0.7, 1e-6], experiment="helmholtz-1-8", method="bfgs"),
        *seeds_of([1e-6], experiment="heat-0.11", method="bfgs"),  # the authors give no error
    ]
    table = beyond(summary_of(*runs), Catalogue())
    write_table(table, tmp_path, "beyond")
    (text,) = beyond_in([tmp_path / "beyond.csv"])
    known = table[table["paper's best relative L2"].notna()]
    times = (known["paper's best relative L2"] / known["relative L2, worst"]).prod() ** 0.5
    assert f"(over all 2, that is {times:.3g} times the worst run's error in the median)" in text and times < 1
    assert (
        "bfgs on jax, numerics paper, 3 seeds: every run is below the paper's smallest error on 1 of 2 problems"
        in text
    )
    assert "not on helmholtz-1-8 (7.00e-01, the paper's 1.7" in text


def test_without_such_methods_nothing_is_said(tmp_path):
    write_table(beyond(summary_of({}), Catalogue()), tmp_path, "beyond")
    assert beyond_in([tmp_path / "beyond.csv"]) == []


def test_what_will_be_done_is_announced(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(announce, "RESULTS", tmp_path)
    chosen = ["scale=smoke", "experiments=heat-0.3", "methods=all", "seeds=2", "backends=jax"]
    assert announce.main(["--cores", "2", *chosen]) == 0
    told = capsys.readouterr().out
    assert "4 runs, scale smoke, 1 experiment, jax, 2 seeds." in told
    assert "on 2 cores" in told and "already" not in told
    assert announce.main(["scale=paper", "runs=archive"]) == 0
    assert "nothing is trained" in capsys.readouterr().out
    assert announce.main(["scale=papers"]) == 2
    assert "papers" in capsys.readouterr().err


def test_the_cheapest_run_of_each_experiment_is_made_again():
    sweep = Sweep.from_config({"scale": "paper", "runs": "archive", "numerics": "paper"})
    assert len(sweep.specs) > 50
    runs = summary_of(
        {"cpu_seconds": 30.0},
        {"cpu_seconds": 20.0, "seed": 1},
        {"cpu_seconds": 10.0, "seed": 2, "status": "diverged"},
        {"cpu_seconds": 5.0, "seed": 3, "outdated": "specification and code"},
        {"cpu_seconds": 500.0, "experiment": "pulse"},
    )
    found = recheck.cheapest(runs)
    assert list(zip(found.experiment, found.seed, strict=True)) == [("heat-0.3", 1), ("pulse", 0)]
    assert list(recheck.cheapest(runs, most=100).experiment) == ["heat-0.3"]


def test_a_recheck_says_which_runs_it_would_make(capsys):
    assert recheck.main(["--dry-run", "--seconds", "60"]) == 0
    assert "heat-0.3" in capsys.readouterr().out


@pytest.mark.parametrize("word", ["yes", "no"])
def test_the_check_of_this_machine_comes_first(tmp_path, word):
    error = 1e-3 if word == "yes" else 0.9
    row = {"experiment": "heat-0.3", "method": "pinn", "numerics": "paper", "backend": "jax", "seed": 0}
    row |= {"relative L2": error, "archived": 1e-3, "archived runs": 3, "smallest archived": 1e-3}
    row |= {"largest archived": 2e-3, "agreement": "the same" if word == "yes" else "outside"}
    report_of(tmp_path, summary_of({}), [])
    write_table(pd.DataFrame([row]), tmp_path / "tables", "check")
    first = next(answer.sentences(tmp_path))
    assert first.startswith(f"Does this machine give what the archive has? {word.capitalize()}.")
