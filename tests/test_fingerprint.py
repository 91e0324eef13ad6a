"""The fingerprint follows the code that a run uses, and nothing else."""

import shutil
from pathlib import Path

import pytest

from solvers import fingerprint as module
from tests.conftest import ROOT, smoke_spec


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A copy of the code to edit; ``prints()`` gives the fingerprint of a run on each backend."""
    for package in module.PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(module, "ROOT", tmp_path)
    plugins = {name: smoke_spec(("heat-0.3", "mmpinn"), name).plugins() for name in ("jax", "torch")}

    def prints() -> dict[str, str]:
        module._closure_hash.cache_clear()
        module._digest_and_imports.cache_clear()
        return {name: module.fingerprint(used) for name, used in plugins.items()}

    yield tmp_path, prints
    module._closure_hash.cache_clear()
    module._digest_and_imports.cache_clear()


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) >= 1
    path.write_text(text.replace(old, new, 1))


def test_comments_docstrings_and_layout_do_not_count(tree):
    folder, prints = tree
    before = prints()
    edit(folder / "solvers/jets.py", '"""Jets:', '"""Jets, in other words:')
    edit(folder / "solvers/jets.py", "class Jet:", "# a comment\n\n\nclass Jet:")
    edit(folder / "problems/heat.py", "return u.t - u.xx", "return (u.t\n            - u.xx)")
    assert prints() == before


def test_a_change_in_shared_code_counts_for_all(tree):
    folder, prints = tree
    before = prints()
    edit(folder / "problems/heat.py", "u.t - u.xx", "u.t - 2 * u.xx")
    after = prints()
    assert all(after[name] != before[name] for name in before)


@pytest.mark.parametrize(
    "path", ["solvers/jets.py", "solvers/networks/dense.py", "solvers/balancing/power.py", "problems/base.py"]
)
def test_every_module_a_run_uses_counts(tree, path):
    folder, prints = tree
    before = prints()
    with (folder / path).open("a") as stream:
        stream.write("\nchanged = 1\n")
    after = prints()
    assert all(after[name] != before[name] for name in before)


@pytest.mark.parametrize("path", ["solvers/balancing/sum.py", "solvers/progress.py", "solvers/cli.py"])
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
