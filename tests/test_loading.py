"""Runs in Python: what ``load_run`` and ``load_runs`` give."""

import shutil
import subprocess
import sys

import numpy as np
import pytest

from solvers import load_run, load_runs
from solvers.runs.archive import ARCHIVE
from solvers.runs.record import RecordError, read_run
from solvers.runs.rows import AXES
from tests.conftest import ROOT

PLACE = "paper/heat-0.3/mmpinn/jax/paper/0"


def test_a_run_has_its_record_and_its_arrays():
    run = load_run(PLACE, ROOT / "results")
    assert run.folder == ROOT / ARCHIVE / PLACE and run.record == read_run(run.folder)
    assert run.spec.method == "mmpinn" and run.record.status == "finished"
    assert run.history.iteration.is_monotonic_increasing and "term.residual" in run.history
    assert (
        run.fields["exact"].shape == run.fields["predicted"].shape == (len(run.fields["x"]), len(run.fields["t"]))
    )
    error = run.fields["predicted"] - run.fields["exact"]
    relative = np.linalg.norm(error) / np.linalg.norm(run.fields["exact"])
    assert relative == pytest.approx(run.record.last.rel_l2, rel=0.2)  # on fewer nodes
    assert (
        sum(array.size for name, array in run.weights.items() if name.startswith("last/")) == run.record.parameters
    )


@pytest.mark.parametrize("name", [PLACE, f"archive/{PLACE}", f"{ROOT / ARCHIVE / PLACE}/run.json"])
def test_a_run_is_found_by_its_place(name):
    assert load_run(name, ROOT / "results").folder == ROOT / ARCHIVE / PLACE


def test_the_scale_may_be_left_out_where_one_run_is_meant(tmp_path):
    one, other = (tmp_path / scale / "heat-0.3/mmpinn/jax/paper/0" for scale in ("paper", "quick"))
    shutil.copytree(ROOT / ARCHIVE / PLACE, one)
    assert load_run(PLACE.removeprefix("paper/"), tmp_path).folder == one
    shutil.copytree(one, other)
    with pytest.raises(RecordError, match=f"is one of {one}, {other}: name its scale or folder"):
        load_run(PLACE.removeprefix("paper/"), tmp_path)


def test_runs_are_a_table():
    runs = load_runs(ROOT / ARCHIVE / "paper/heat-0.3", numerics="paper", method="mmpinn")
    assert (
        set(runs.backend) == {"jax", "torch"} and set(runs.source) == {"archive"} and set(runs.overrides) == {""}
    )
    row = runs[(runs.backend == "jax") & (runs.seed == 0)].iloc[0]
    assert row.rel_l2 == read_run(ROOT / ARCHIVE / PLACE).last.rel_l2 and row.folder == str(ROOT / ARCHIVE / PLACE)
    assert (runs.groupby(AXES).seed.count() == 3).all() and list(runs.index) == list(range(len(runs)))


def test_what_is_no_run_is_said(tmp_path):
    with pytest.raises(RecordError, match="no run is there"):
        load_runs(tmp_path)
    with pytest.raises(RecordError, match="no such run"):
        load_run(PLACE, tmp_path)
    with pytest.raises(KeyError, match="colour"):
        load_runs(ROOT / ARCHIVE / "paper/heat-0.3/mmpinn", colour="red")


def test_a_run_that_was_edited_is_refused(tmp_path):
    folder = tmp_path / "results" / PLACE
    shutil.copytree(ROOT / ARCHIVE / PLACE, folder)
    text = (folder / "run.json").read_text()
    (folder / "run.json").write_text(text.replace('"status": "finished"', '"status": "diverged"'))
    for load in (lambda: load_run(folder), lambda: load_runs(tmp_path)):
        with pytest.raises(RecordError, match=r"run\.json"):
            load()


def test_the_package_imports_nothing_until_it_is_asked():
    code = "import sys, solvers; assert not {'numpy', 'pandas'} & set(sys.modules); solvers.load_run"
    code += "; assert not {'torch', 'jax'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    import solvers

    with pytest.raises(AttributeError, match="no_such"):
        solvers.no_such  # noqa: B018
