"""The fingerprint follows the code that a run uses, and nothing else."""

import shutil
from pathlib import Path

import pytest

from solvers.runs import fingerprint as module
from tests.conftest import ROOT, smoke_spec


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A copy of the code to edit; ``prints()`` gives the fingerprint of a run on each backend."""
    for package in module.PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(module, "ROOT", tmp_path)
    plugins = {name: smoke_spec(("heat-0.3", "mmpinn"), name).plugins() for name in ("jax", "torch")}

    def prints() -> dict[str, str]:
        forget()
        return {name: module.fingerprint(used) for name, used in plugins.items()}

    yield tmp_path, prints
    forget()


def forget() -> None:
    module.forget()


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) >= 1
    path.write_text(text.replace(old, new, 1))


def test_comments_docstrings_and_layout_do_not_count(tree):
    folder, prints = tree
    before = prints()
    edit(folder / "solvers/model/jets.py", '"""Jets:', '"""Jets, in other words:')
    edit(folder / "solvers/model/jets.py", "class Jet:", "# a comment\n\n\nclass Jet:")
    edit(folder / "problems/heat.py", "return u.t - u.xx", "return (u.t\n            - u.xx)")
    assert prints() == before


def test_a_change_in_shared_code_counts_for_all(tree):
    folder, prints = tree
    before = prints()
    edit(folder / "problems/heat.py", "u.t - u.xx", "u.t - 2 * u.xx")
    after = prints()
    assert all(after[name] != before[name] for name in before)


@pytest.mark.parametrize(
    "path",
    [
        "solvers/model/jets.py",
        "solvers/model/networks/dense.py",
        "solvers/balancing/power.py",
        "solvers/points/samplers/grid.py",
        "solvers/optimizers/adam.py",
        "solvers/training/drivers.py",
        "solvers/training/iterates.py",
        "solvers/training/loop.py",
        "solvers/training/metrics.py",
        "solvers/configuration/assembly.py",
        "solvers/randomness.py",
        "problems/base.py",
    ],
)
def test_every_module_a_run_uses_counts(tree, path):
    folder, prints = tree
    before = prints()
    with (folder / path).open("a") as stream:
        stream.write("\nchanged = 1\n")
    after = prints()
    assert all(after[name] != before[name] for name in before)


@pytest.mark.parametrize(
    "path",
    [
        "solvers/balancing/sum.py",
        "solvers/points/samplers/sobol.py",
        "solvers/points/groupings/boxes.py",
        "problems/burgers.py",
        "solvers/cli/__init__.py",
        "solvers/plugins.py",
        *(f"solvers/configuration/{name}.py" for name in ("spec", "catalogue", "consistency", "identity")),
        *(f"solvers/runs/{name}.py" for name in ("progress", "record", "archive", "run", "checkpoint", "upgrade")),
    ],
)
def test_modules_a_run_does_not_use_do_not_count(tree, path):
    folder, prints = tree
    before = prints()
    with (folder / path).open("a") as stream:
        stream.write("\nchanged = 1\n")
    assert prints() == before


def test_a_change_in_one_backend_concerns_only_its_runs(tree):
    folder, prints = tree
    before = prints()
    with (folder / "solvers/backends/torch.py").open("a") as stream:
        stream.write("\nchanged = 1\n")
    after = prints()
    assert after["jax"] == before["jax"]
    assert after["torch"] != before["torch"]


PLUGINS = (
    "solvers/model/networks",
    "solvers/backends",
    "solvers/balancing",
    "solvers/optimizers",
    "solvers/points/samplers",
    "solvers/points/groupings",
    "problems",
)


@pytest.mark.parametrize("package", PLUGINS)
def test_a_new_plug_in_makes_no_finished_run_anew(tree, package):
    folder, prints = tree
    before = prints()
    (folder / package / "novel.py").write_text("import solvers.model.jets\n")
    assert prints() == before


IMPORTS = [
    ("from . import ridge", True),
    ("from .ridge import x", True),
    ("from problems import ridge", True),
    ("import problems.ridge", True),
    ("def later():\n    import problems.ridge", True),
    ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import problems.ridge", False),
    ("import typing\nif typing.TYPE_CHECKING:\n    pass\nelse:\n    import problems.ridge", True),
]


@pytest.mark.parametrize(("line", "counts"), IMPORTS)
def test_an_import_counts_however_it_is_written_if_it_is_made(tree, line, counts):
    folder, prints = tree
    (folder / "problems/ridge.py").write_text("x = 1\n")
    with (folder / "problems/heat.py").open("a") as stream:
        stream.write(f"\n{line}\n")
    before = prints()
    (folder / "problems/ridge.py").write_text("x = 2\n")
    assert all((now != before[name]) == counts for name, now in prints().items())


def test_a_relative_import_leads_up(tree):
    folder, prints = tree
    (folder / "solvers/model/ridge.py").write_text("x = 1\n")
    with (folder / "solvers/model/networks/dense.py").open("a") as stream:
        stream.write("\nfrom ..ridge import x\n")
    with (folder / "solvers/model/networks/__init__.py").open("a") as stream:
        stream.write("\nfrom .. import hill\n")
    (folder / "solvers/model/hill.py").write_text("x = 1\n")
    before = prints()
    for name in ("ridge", "hill"):
        (folder / f"solvers/model/{name}.py").write_text("x = 2\n")
        after = prints()
        assert all(after[backend] != before[backend] for backend in before), name
        before = after


@pytest.mark.parametrize(
    ("file", "line", "counts"),
    [
        ("problems/ridge.csv", "TABLE = 'ridge.csv'", True),
        ("problems/data/ridge.csv", "TABLE = 'data/ridge.csv'", True),
        (
            "problems/data/ridge.csv",
            "from pathlib import Path\nTABLE = Path(__file__).parent / 'data' / 'ridge.csv'",
            True,
        ),
        ("problems/heat.npz", "", True),
        ("problems/ridge.csv", "", False),
        ("problems/burgers.csv", "", False),
        ("config/ridge.csv", "TABLE = 'ridge.csv'", False),
    ],
)
def test_data_that_a_module_names_count(tree, file, line, counts):
    """Beside it or below; a file elsewhere is not seen, which the fingerprint's description says."""
    folder, prints = tree
    with (folder / "problems/heat.py").open("a") as stream:
        stream.write(f"\n{line}\n")
    (folder / file).parent.mkdir(exist_ok=True)
    (folder / file).write_text("1")
    before = prints()
    (folder / file).write_text("2")
    assert all((now != before[name]) == counts for name, now in prints().items())
