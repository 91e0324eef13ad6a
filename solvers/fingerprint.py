"""A fingerprint of the code that a run's numbers depend on: its import closure, without comments.

Two runs with equal fingerprints and specifications were made by the same code. A comment or a docstring does
not count; a change in one backend, problem or network concerns only the runs that use it.
"""

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

__all__ = ["ROOT", "fingerprint"]

ROOT = Path(__file__).resolve().parent.parent
"""The project's folder."""
PACKAGES = ("problems", "solvers")
ENTRY = "solvers.run"


def fingerprint(plugins: Iterable[str]) -> str:
    """16 hexadecimal digits for ``solvers.run`` with the named plug-in modules and all they import."""
    return _closure_hash(tuple(sorted({ENTRY, *plugins})))


@cache
def _closure_hash(entries: tuple[str, ...]) -> str:
    seen: dict[str, str] = {}
    waiting = list(entries)
    while waiting:
        module = waiting.pop()
        path = _file(module)
        if path is None or module in seen:
            continue
        seen[module], imported = _digest_and_imports(path)
        waiting.extend(imported)
        if "." in module:
            waiting.append(module.rpartition(".")[0])
    joined = "\n".join(f"{module} {digest}" for module, digest in sorted(seen.items()))
    return hashlib.sha256(joined.encode()).hexdigest()[:16]


def _file(module: str) -> Path | None:
    base = ROOT.joinpath(*module.split("."))
    candidates = (base.with_suffix(".py"), base / "__init__.py")
    return next((path for path in candidates if path.is_file()), None)


@cache
def _digest_and_imports(path: Path) -> tuple[str, tuple[str, ...]]:
    tree = ast.parse(path.read_bytes())
    imported = tuple(_imports(tree))
    digest = hashlib.sha256(ast.dump(_without_docstrings(tree)).encode()).hexdigest()
    return digest, imported


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        yield from (name for name in names if name.split(".")[0] in PACKAGES)


def _without_docstrings(tree: ast.AST) -> ast.AST:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [line for line in body if not _is_text(line)] or [ast.Pass()]
    return tree


def _is_text(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    )
