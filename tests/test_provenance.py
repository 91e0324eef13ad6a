"""Which code made a run: commit, changes and fingerprint when it starts, compared with those when it ends."""

from pathlib import Path

import pytest

from solvers.runs import fingerprint, provenance
from solvers.runs.provenance import code_of
from solvers.runs.run import Conditions, run
from solvers.training.history import Silent
from tests.conftest import copy_project, git, smoke_spec

SPEC = smoke_spec(("heat-0.3", "pinn"), "torch", "paper")


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A clean checkout of the project, as that which the runs are made from."""
    copy_project(tmp_path)
    (tmp_path / ".gitignore").write_text("__pycache__/\nignored.py\n")
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "-m", "all"]):
        git(tmp_path, *command)
    for module in (fingerprint, provenance):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    yield tmp_path
    monkeypatch.undo()
    fingerprint.forget()


def test_a_clean_checkout_is_clean(checkout):
    code = code_of(SPEC)
    assert len(code.commit) == 40 and code.uncommitted_changes is False


@pytest.mark.parametrize(
    ("file", "changed"),
    [
        ("solvers/optimizers/novel.py", True),
        ("problems/novel.csv", True),
        ("config/experiments/novel.yaml", True),
        ("solvers/optimizers/ignored.py", True),
        ("README.md", False),
        ("solvers/__pycache__/novel.pyc", False),
        ("problems/heat.py", True),
        ("Snakefile", True),
    ],
)
def test_code_that_is_in_no_commit_is_a_change(checkout, file, changed):
    """Tracked files wherever they are; others where code is, ignored or not."""
    (checkout / file).parent.mkdir(exist_ok=True)
    with (checkout / file).open("a") as stream:
        stream.write("\n")
    assert code_of(SPEC).uncommitted_changes is changed


class Meanwhile(Silent):
    """Does something once, while a run is on its way."""

    def __init__(self, deed):
        self.deed = deed

    def show(self, row):
        if self.deed:
            self.deed()
        self.deed = None


def checked_out(folder: Path) -> None:
    """Another version of a file, committed: clean again, but other code."""
    path = folder / "problems/heat.py"
    path.write_text(path.read_text().replace("u.t - u.xx", "u.t - 2 * u.xx"))
    git(folder, "commit", "--quiet", "-a", "-m", "other")


def edited(folder: Path) -> None:
    with (folder / "Snakefile").open("a") as stream:
        stream.write("# more\n")


def broken(folder: Path) -> None:
    (folder / "problems/heat.py").write_text("def")


@pytest.mark.parametrize(
    ("deed", "changed"),
    [
        (lambda folder: None, []),
        (checked_out, ["commit", "fingerprint"]),
        (edited, ["uncommitted_changes"]),
        (broken, ["uncommitted_changes", "fingerprint"]),
    ],
)
def test_what_changes_during_a_run_is_said(checkout, tmp_path, deed, changed):
    """The code is that of the start; what cannot even be read at the end costs no training."""
    before = code_of(SPEC)
    record = run(SPEC, checkout / "results/run", Conditions(display=Meanwhile(lambda: deed(checkout))))
    origin = record.provenance
    assert (origin.commit, origin.fingerprint) == (before.commit, before.fingerprint)
    assert origin.uncommitted_changes is False and origin.changed_meanwhile == changed
