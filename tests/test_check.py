"""Runs made here beside the archive's: what agrees, what does not, and how it is said."""

from pathlib import Path

import pandas as pd
import pytest

from solvers.configuration.catalogue import Catalogue
from tests.summaries import seeds_of, summary_of
from workflow.analysis.check import Agreement, check, compared
from workflow.analysis.summary import summarise
from workflow.analysis.writing import write_table
from workflow.manifest import CheckRule
from workflow.page.check import check_in
from workflow.sweep import Sweep

RULE = CheckRule(fixed="2026-11-27", relative=1e-5, factor=2.0)
ARCHIVE = [
    *seeds_of([1e-3, 2e-3, 4e-3], backend="jax"),
    *seeds_of([1.1e-3, 2.2e-3, 5e-3], backend="torch"),
]


def agreement(error: float | None, seed: int = 0, backend: str = "jax", archive=tuple(ARCHIVE), **axes) -> str:
    """What one run is beside an archive."""
    run = seeds_of([error], backend=backend)[0] | {"seed": seed} | axes
    return compared(summary_of(run), summary_of(*archive), RULE)[0]["agreement"]


def test_an_equal_error_of_the_same_seed_and_backend_is_the_same():
    assert agreement(2e-3, seed=1) == Agreement.SAME
    assert agreement(2e-3 * (1 + 9e-6), seed=1) == Agreement.SAME
    assert agreement(2e-3 * (1 + 1.1e-5), seed=1) == Agreement.WITHIN
    assert agreement(2e-3, seed=0) == Agreement.WITHIN


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (0.51e-3, Agreement.WITHIN),
        (9.9e-3, Agreement.WITHIN),
        (0.49e-3, Agreement.OUTSIDE),
        (1.01e-2, Agreement.OUTSIDE),
        (None, Agreement.OUTSIDE),
    ],
)
def test_an_error_lies_within_the_spread_of_seeds_and_backends_or_outside(error, expected):
    assert agreement(error, seed=2) == expected


def test_a_run_without_an_error_agrees_with_one_that_has_none_either():
    assert agreement(None, seed=0, archive=seeds_of([None, 1e-3])) == Agreement.SAME
    assert agreement(None, seed=1, archive=seeds_of([None, 1e-3])) == Agreement.WITHIN


def test_runs_of_other_methods_and_numerics_are_not_compared_with():
    assert agreement(1e-3, method="mmpinn") == Agreement.ABSENT
    assert agreement(1e-3, numerics="strict") == Agreement.ABSENT


def written(folder: Path, errors: list[float | None]):
    table = compared(summary_of(*seeds_of(errors)), summary_of(*ARCHIVE), RULE)
    write_table(pd.DataFrame(table), folder, "check")
    return check_in([folder / "check.csv"])


def test_the_answer_is_yes_only_if_every_run_agrees(tmp_path):
    good = written(tmp_path / "a", [1e-3, 2.5e-3, 4e-3])
    assert good.word == "yes"
    assert "3 of 3 runs" in good.text and "2 ended with the same error" in good.text
    bad = written(tmp_path / "b", [1e-3, 0.3, None])
    assert bad.word == "no" and "1 of 3 runs" in bad.text
    assert "heat-0.3 pinn, jax, seed 1 (3.00e-01; archived 1.00e-03 to 5.00e-03)" in bad.text
    assert "seed 2 (inf;" in bad.text


def test_the_archive_agrees_with_itself_and_a_changed_error_does_not():
    catalogue = Catalogue()
    sweep = Sweep.from_config({"scale": "paper", "runs": "archive", "experiments": "heat-0.3"}, catalogue)
    archive = summarise(sweep.folders(), (), sweep.wanted)
    found = check(archive.assign(source="fresh"), catalogue)
    assert set(found[found["archived runs"] > 0].agreement) == {str(Agreement.SAME)}
    other = check(archive.assign(source="fresh", rel_l2=archive.rel_l2 * 30), catalogue)
    assert set(other[other["archived runs"] > 0].agreement) == {str(Agreement.OUTSIDE)}


def test_without_archived_runs_there_is_no_answer(tmp_path):
    catalogue = Catalogue()
    table = check(summary_of({"scale": "smoke"}), catalogue)
    assert list(table) == ["note"]
    write_table(table, tmp_path, "check")
    assert check_in([tmp_path / "check.csv"]) is None
    assert check_in([]) is None
