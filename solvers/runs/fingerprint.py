"""A fingerprint of the code that a run's numbers depend on: its import closure in the rooms that make numbers.

Two runs with equal fingerprints and specifications were made by the same code. A comment or a docstring does
not count, nor does a module that only reads, checks, writes or shows; a change in one backend, problem or network
concerns only the runs that use it.

Data count too, where the code names them: every file that is not Python, lies in the folder of a module or below,
and whose name stands in that module's code as a text, or is the module's but for its ending
(``problems/ridge.csv`` of ``problems/ridge.py``). What is not seen: a file elsewhere, a name that is put together
when the code runs, and a module that is imported without an ``import`` statement.
"""

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from solvers.paths import ROOT

__all__ = ["fingerprint", "forget"]

PACKAGES = ("problems", "solvers")
ROOMS = (
    "problems",
    "solvers.model",
    "solvers.backends",
    "solvers.balancing",
    "solvers.points",
    "solvers.optimizers",
    "solvers.training",
    "solvers.configuration.assembly",
    "solvers.randomness",
    "solvers.classical",
)
"""What makes numbers: these modules and packages, with all that is in them."""
CHECKER = ("TYPE_CHECKING", "typing.TYPE_CHECKING")
ENTRIES = ("solvers.configuration.assembly", "solvers.training.loop", "solvers.training.metrics")


def fingerprint(plugins: Iterable[str], entries: Iterable[str] = ENTRIES) -> str:
    """16 hexadecimal digits for the ``entries`` (training and the measurement of errors), the named plug-in
    modules, and all that these import from the rooms that make numbers."""
    return _closure_hash(tuple(sorted({*entries, *plugins})))


def forget() -> None:
    """Read all files again when the next fingerprint is asked for."""
    _closure_hash.cache_clear()
    _file.cache_clear()
    _digest_and_imports.cache_clear()
    _others.cache_clear()


@cache
def _closure_hash(entries: tuple[str, ...]) -> str:
    seen: dict[str, str] = {}
    waiting = list(entries)
    while waiting:
        module = waiting.pop()
        if module in seen or not _makes_numbers(module):
            continue
        path = _file(module)
        if path is None:
            continue
        seen[module], imported = _digest_and_imports(path, module)
        waiting.extend(imported)
        if "." in module:
            waiting.append(module.rpartition(".")[0])
    joined = "\n".join(f"{module} {digest}" for module, digest in sorted(seen.items()))
    return hashlib.sha256(joined.encode()).hexdigest()[:16]


@cache
def _file(module: str) -> Path | None:
    base = ROOT.joinpath(*module.split("."))
    candidates = (base.with_suffix(".py"), base / "__init__.py")
    return next((path for path in candidates if path.is_file()), None)


def _makes_numbers(module: str) -> bool:
    return any(module == room or module.startswith(f"{room}.") for room in ROOMS)


@cache
def _digest_and_imports(path: Path, module: str) -> tuple[str, tuple[str, ...]]:
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    digest, imported, named = _read(path.read_bytes(), package)
    data = [f" {file.relative_to(path.parent)} {_digest(file)}" for file in _data(named, path)]
    return digest + "".join(data), imported


@cache
def _read(source: bytes, package: str) -> tuple[str, tuple[str, ...], frozenset[str]]:
    """Digest and imports of code in ``package``, and the last parts of its texts, which may name files. Every run
    asks at its start and at its end, having read all files again: bytes that are the same are parsed once."""
    tree = ast.parse(source)
    statements, texts = _imports_and_texts(tree)
    imported = tuple(module for statement in statements for module in _modules(statement, package))
    named = frozenset(text.replace("\\", "/").rpartition("/")[2] for text in texts)
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest(), imported, named


def _data(named: frozenset[str], path: Path) -> list[Path]:
    """The data files that the module at ``path`` names, or that are named like it."""
    return [
        file
        for file in _others(path.parent)
        if file.name in named or (file.parent == path.parent and file.name.partition(".")[0] == path.stem)
    ]


@cache
def _others(folder: Path) -> tuple[Path, ...]:
    """All files in a folder and below that are not Python, sorted."""
    files = (file for file in folder.rglob("*") if file.suffix not in (".py", ".pyc", ".pyi"))
    return tuple(sorted(file for file in files if file.is_file()))


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _imports_and_texts(tree: ast.AST) -> tuple[list[ast.Import | ast.ImportFrom], set[str]]:
    """The imports that are made when the code runs, not those that only a type checker sees, and all texts but
    docstrings, which are taken out of the tree. One walk by hand: with those of :mod:`ast` a start of Snakemake
    took half a second more."""
    imports: list[ast.Import | ast.ImportFrom] = []
    texts: set[str] = set()
    waiting: list[tuple[ast.AST, bool]] = [(tree, True)]
    while waiting:
        node, executed = waiting.pop()
        if isinstance(node, ast.Constant):
            if isinstance(node.value, str):
                texts.add(node.value)
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            if executed:
                imports.append(node)
            continue
        checked = isinstance(node, ast.If) and ast.unparse(node.test) in CHECKER
        for name in node._fields:
            child = getattr(node, name)
            run = executed and not (checked and name != "orelse")
            if isinstance(child, list):
                if name == "body":
                    child[:] = [line for line in child if not _is_text(line)] or [ast.Pass()]
                waiting.extend((each, run) for each in child if isinstance(each, ast.AST))
            elif isinstance(child, ast.AST):
                waiting.append((child, run))
    return imports, texts


def _modules(statement: ast.Import | ast.ImportFrom, package: str) -> Iterator[str]:
    """Modules, and what may be modules, that a statement in ``package`` imports."""
    if isinstance(statement, ast.Import):
        yield from (alias.name for alias in statement.names)
    else:
        base = _absolute(statement, package)
        yield base
        yield from (f"{base}.{alias.name}" for alias in statement.names)


def _absolute(node: ast.ImportFrom, package: str) -> str:
    """The module that is imported from; every dot behind the first leads one package up."""
    above = package.split(".")
    parents = above[: len(above) - node.level + 1] if node.level else []
    return ".".join([*parents, *([node.module] if node.module else [])])


def _is_text(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    )
