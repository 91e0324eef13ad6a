"""The rooms of the code: imports point one way, from top to bottom of this list, and modules stay small."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

ROOMS = (
    "workflow",
    "solvers.cli",
    "solvers.runs",
    "solvers.configuration",
    "solvers.training",
    "solvers.optimizers",
    "solvers.points",
    "solvers.balancing",
    "solvers.backends",
    "solvers.model",
    "solvers.classical",
    "problems",
)
"""From top to bottom: a module may import from its own room and from those below."""
GROUND = tuple(f"solvers.{name}" for name in ("plugins", "paths", "randomness", "stopwatch", "threads"))
"""Import nothing of the suite; every room may import them."""
LONG = {
    "solvers/backends/jax.py": "one class: all array code of a framework is in its own file",
    "solvers/backends/torch.py": "one class: all array code of a framework is in its own file",
}
"""Modules of more than 300 lines, and why."""
LONGEST = 300
FRAMEWORKS = {"jax": ("jax", "jaxlib", "optax"), "torch": ("torch",)}
OF_FRAMEWORK = {
    "jax": ("jax.py", "_optax.py", "_cache.py"),
    "torch": ("torch.py", "_torch_optim.py", "_tanh_layer.py", "_bilinear.py", "_memory.py"),
}
MODULES = sorted(path for top in ("problems", "solvers", "workflow") for path in (ROOT / top).rglob("*.py"))


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def room_of(module: str) -> str | None:
    """The room or ground module that a module is in; ``None`` for the package ``solvers`` itself and others'."""
    if module == "solvers.__main__":  # starts the command line
        return "solvers.cli"
    return next((room for room in (*ROOMS, *GROUND) if f"{module}.".startswith(f"{room}.")), None)


class _Imports(ast.NodeVisitor):
    """Dotted names of all that a module imports when it runs, also inside its functions."""

    def __init__(self) -> None:
        self.found: list[tuple[str, int]] = []

    def visit_If(self, node: ast.If) -> None:
        if "TYPE_CHECKING" not in ast.unparse(node.test):
            self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        self.found += [(alias.name, node.lineno) for alias in node.names]

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        assert node.level == 0, "imports are absolute"
        self.found += [(f"{node.module}.{alias.name}", node.lineno) for alias in node.names]


def imports_of(text: str) -> list[tuple[str, int]]:
    visitor = _Imports()
    visitor.visit(ast.parse(text))
    return visitor.found


def against_the_order(module: str, text: str) -> Iterator[str]:
    """The imports of ``module`` that point upwards, or out of the ground."""
    own = room_of(module)
    for name, line in imports_of(text):
        other = room_of(name)
        if other is None or other == own or other in GROUND:
            continue
        if own in GROUND or own is None or ROOMS.index(other) < ROOMS.index(own):
            yield f"{module}:{line} imports {name}"


@pytest.mark.parametrize(
    ("module", "line", "wrong"),
    [
        ("solvers.backends.jax", "from solvers.training.loss import Loss", True),
        ("solvers.backends.jax", "from solvers.model.jets import Jet", False),
        ("solvers.backends.jax", "def f():\n    import solvers.optimizers.adam", True),
        ("solvers.backends.jax", "from solvers import balancing", True),
        ("solvers.backends.jax", "from solvers import stopwatch", False),
        ("solvers.stopwatch", "from solvers.paths import ROOT", False),
        ("solvers.stopwatch", "import problems", True),
        ("problems.heat", "from solvers.model import jets", True),
        ("problems.heat", "from solvers.plugins import load_plugin", False),
        ("solvers.runs.status", "import workflow.sweep", True),
        ("workflow.sweep", "import solvers.cli", False),
        ("solvers.model.terms", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import workflow", False),
    ],
)
def test_an_import_against_the_order_is_found(module, line, wrong):
    assert bool(list(against_the_order(module, line))) is wrong


def test_imports_point_one_way():
    found = [each for path in MODULES for each in against_the_order(dotted(path), path.read_text())]
    assert not found, "\n".join(found)


def test_every_module_has_a_room():
    """But for the package that holds them."""
    assert {dotted(path) for path in MODULES if room_of(dotted(path)) is None} == {"solvers"}


def test_ground_modules_import_nothing_of_the_suite():
    for module in GROUND:
        text = (ROOT / f"{module.replace('.', '/')}.py").read_text()
        names = [name for name, _ in imports_of(text) if name.split(".")[0] in ("solvers", "problems", "workflow")]
        assert not names, module


def test_problems_import_of_solvers_the_plugins_alone():
    names = {
        name
        for path in (ROOT / "problems").rglob("*.py")
        for name, _ in imports_of(path.read_text())
        if name.startswith("solvers")
    }
    assert names and all(f"{name}.".startswith("solvers.plugins.") for name in names)


@pytest.mark.parametrize("own", FRAMEWORKS)
def test_neither_backend_imports_the_other(own):
    (other,) = set(FRAMEWORKS) - {own}
    foreign = {f"solvers.backends.{file.removesuffix('.py')}" for file in OF_FRAMEWORK[other]}
    for file in OF_FRAMEWORK[own]:
        for name, _ in imports_of((ROOT / "solvers/backends" / file).read_text()):
            assert name.split(".")[0] not in FRAMEWORKS[other], file
            assert not any(f"{name}.".startswith(f"{module}.") for module in foreign), file


def test_nothing_of_a_framework_stands_outside_its_backend():
    own = {f"solvers/backends/{file}" for files in OF_FRAMEWORK.values() for file in files}
    names = {name for each in FRAMEWORKS.values() for name in each}
    found = {
        str(path.relative_to(ROOT))
        for path in MODULES
        for name, _ in imports_of(path.read_text())
        if name.split(".")[0] in names
    }
    assert found and found <= own


def test_modules_are_short_or_have_a_reason():
    long = {str(p.relative_to(ROOT)) for p in MODULES if len(p.read_text().splitlines()) > LONGEST}
    assert long == set(LONG)
